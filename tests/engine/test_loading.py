"""A run's folder is all that it takes, and damage to it is noticed."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from cases import cases
from ddpm import build
from ddpm.config.run import RunConfig
from ddpm.engine.loading import load
from ddpm.engine.run import LoadedRun
from ddpm.engine.subjects import Subjects
from ddpm.system.errors import InputError
from ddpm.training import checkpoint as checkpoints
from refusal import refuses


@pytest.fixture
def run(digits_run: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return shutil.copytree(digits_run, tmp_path / "run")


def test_the_weights_are_the_average(loaded: LoadedRun, digits_run: Path) -> None:
    found, _ = checkpoints.newest(digits_run / "checkpoints")
    assert found is not None
    state = loaded.engine.model.state_dict()
    assert all(torch.equal(t, state[name]) for name, t in found.tensors["ema"].items())
    assert not loaded.engine.model.training
    assert not any(p.requires_grad for p in loaded.engine.model.parameters())


def test_the_hash_is_of_names_and_values(loaded: LoadedRun, run: Path) -> None:
    assert load(run).weights == loaded.weights
    weights = load_file(run / "model.safetensors")
    next(iter(weights.values())).view(-1)[0] += 1e-3
    save_file(weights, run / "model.safetensors")
    assert load(run).weights != loaded.weights


def test_one_checkpoint(loaded: LoadedRun, digits_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    last, before = (digits_run / "checkpoints" / f"step-{step:09d}" for step in (12, 8))
    assert load(last).weights == loaded.weights
    assert load(before).weights != loaded.weights
    monkeypatch.chdir(before)
    assert load(".").weights == load(before).weights
    monkeypatch.chdir(before.parent)
    assert load(before.name).weights == load(before).weights


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4] ^= 0xFF  # in the header's length
    path.write_bytes(data)


@cases(
    "change",
    [
        *(lambda w, d=d: w.to(d) for d in (torch.bool, torch.int8, torch.bfloat16, torch.float64, torch.complex64)),
        *(lambda w, v=v: torch.full_like(w, v) for v in (float("nan"), float("inf"))),
    ],
)
def test_weights_of_another_type_or_that_are_not_finite(change: Any, run: Path) -> None:
    """They used to make pictures."""
    weights = load_file(run / "model.safetensors")
    save_file(weights | {"net.conv_in.weight": change(weights["net.conv_in.weight"])}, run / "model.safetensors")
    with pytest.raises(InputError, match=r"net\.conv_in\.weight .*; restore it from a backup"):
        load(run)


def test_a_config_of_a_network_that_fits_neither_the_weights_nor_the_memory(run: Path) -> None:
    """It is refused before anything of its size is allocated."""
    config = json.loads((run / "config.json").read_text())
    config["network"] |= {"width": 65_536, "cond_width": 65_536}
    (run / "config.json").write_text(json.dumps(config))
    with refuses("incompatible", "net.", "262144"):
        load(run)
    state = torch.get_rng_state()
    with refuses("memory", "GB"):
        build.build_model(RunConfig.read(run / "config.json"))
    assert torch.equal(torch.get_rng_state(), state)


def test_values_that_overflow_are_no_picture(run: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    config["diffusion"]["time_scale"] = 1e308
    (run / "config.json").write_text(json.dumps(config))
    found = load(run, "cpu")
    with refuses("diverged"):
        found.draw(found.sampling, Subjects(), 0, [0])


@cases("damage", [flip, lambda path: path.write_bytes(path.read_bytes()[:-5]), lambda path: path.write_bytes(b"")])
def test_damaged_weights(damage: Any, run: Path) -> None:
    damage(run / "model.safetensors")
    with refuses("unreadable"):
        load(run)


def test_a_damaged_checkpoint(run: Path) -> None:
    path = run / "checkpoints" / "step-000000012"
    (path / "optimizer.safetensors").write_bytes(b"")
    with refuses("unreadable", "000000012"):
        load(path)


def test_no_weights_yet(run: Path) -> None:
    (run / "model.safetensors").unlink()
    with refuses("missing"):
        load(run)


def test_weights_of_another_model(run: Path) -> None:
    save_file({"conv.weight": torch.zeros(2)}, run / "model.safetensors")
    with refuses("incompatible"):
        load(run)


def test_a_config_of_another_width(run: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    config["network"]["width"] = 16
    (run / "config.json").write_text(json.dumps(config))
    with refuses("incompatible"):
        load(run)


def test_a_foreign_folder(tmp_path: Path) -> None:
    with refuses("missing"):
        load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"_class_name": "UNet2DModel", "sample_size": 32}))
    with refuses("unreadable"):
        load(tmp_path)


def test_no_folder(tmp_path: Path) -> None:
    with refuses("missing"):
        load(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("model.pt", b"PK\x03\x04rest", "a PyTorch pickle or ZIP file"),
        ("model.ckpt", b"\x80\x02", "a PyTorch pickle"),
        ("model.safetensors", b"\0" * 16, "a file of weights"),
        ("a.png", b"\x89PNG\r\n\x1a\n", "a PNG picture .*`ddpm sample --from`"),
        ("a.txt", b"hi", r"a file of \.txt type"),
        ("a", b"", "a file of unknown type"),
    ],
)
def test_a_file_is_named_as_what_it_is(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=said):
        load(tmp_path / name)


@cases("device", ["cuda:99", "nonsense", "mps:7"])
def test_a_device_that_is_not_here(device: str, digits_run: Path) -> None:
    with pytest.raises(InputError, match=rf"device {device} "):
        load(digits_run, device)

"""An autoencoder of the user's own images, from one command."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import ddpm
import forked
from ddpm import build
from ddpm.codec import PixelCodec
from ddpm.core.model import Model
from ddpm.data.cache import prepare
from ddpm.data.dataset import Dataset
from ddpm.data.open import open_source
from ddpm.data.order import split
from ddpm.engine import reconstruction
from ddpm.images.geometry import Geometry
from ddpm.planning.recipes import AUTOENCODER
from ddpm.records.run_folder import RunFolder, weights_hash
from random_lpips import random_weights, reference
from refusal import refuses
from stopping import stopped_at

Cli = Callable[..., int]
FLAGS = ("--images", "192", "--batch", "16", "--width", "8", "--precision", "fp32")
"""12 steps."""
STEPS = 12


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 pictures of 16 × 24, each of two colours; 2 of them are held out."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for i in range(48):
        pixels = np.broadcast_to(rng.integers(0, 256, 4, np.uint8), (16, 24, 4)).copy()
        pixels[:, : rng.integers(4, 20)] = rng.integers(0, 256, 4, np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


@pytest.fixture(scope="session")
def trained(cli: Cli, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished autoencoder, trained against a discriminator; for reading only."""
    out = tmp_path_factory.mktemp("runs") / "ae"
    assert cli("train", pictures, "--recipe", AUTOENCODER, "--adversarial", "--out", out, *FLAGS) == 0
    return out


def digests(folder: Path) -> dict[str, str]:
    names = ("model.safetensors", "latents.json", "reconstruction.json", "reconstructions.png")
    files = [*(folder / name for name in names), *sorted((folder / "checkpoints").glob(f"step-*{STEPS}/*"))]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def events(folder: Path, kind: str) -> list[dict]:
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [line for line in lines if line["kind"] == kind]


def test_what_is_written(trained: Path) -> None:
    run = RunFolder(trained)
    config, latents, quality = run.autoencoder(), run.latents(), run.reconstruction()
    assert config.shape == (4, 4, 6)
    assert (config.data.mode, config.data.images, config.data.held_out) == ("RGBA", 46, 2)
    weights = load_file(run.weights_file)
    assert not any("auxiliary" in name for name in weights)  # nobody needs the discriminator any more
    assert weights_hash(weights) == latents.weights == quality.weights
    assert (quality.n, quality.held_out, len(latents.mean), len(latents.spread)) == (2, True, 4, 4)
    assert min(latents.spread) > 0
    assert quality.lpips is None
    distances = [(one.features.name, one.trained_on) for one in quality.distances]
    assert distances == [("embedded", True), ("16x16-pixel", False)]
    with Image.open(run.reconstructions) as sheet:
        assert sheet.size == (2 * 4 * 24 + 2, 2 * 4 * 16 + 2)  # two enlarged originals above their reconstructions
    assert len(events(trained, "held-out")) == STEPS
    assert len(list(run.previews.iterdir())) > 2


def opened(run: RunFolder, pictures: Path) -> tuple[Model, Dataset, Dataset]:
    """The model, and the images that it was trained on and those held out."""
    config = run.autoencoder()
    model = build.build_autoencoder_model(config)
    model.load_state_dict(run.weights(), strict=False)
    data = prepare(open_source(str(pictures)), Geometry((16, 24), config.data.mode, "crop"), skip_bad=False)
    kept, held = split(len(data), 0)
    return model, data.subset(kept), data.subset(held)


def test_the_latents_statistics_are_those_of_the_weights(trained: Path, pictures: Path) -> None:
    run = RunFolder(trained)
    model, kept, held = opened(run, pictures)
    found, spreads = run.latents(), []
    for data in (kept, held):
        mean, logvar = reconstruction.moments(model, torch.from_numpy(data.images))
        spreads.append((mean.var((0, 2, 3), correction=0) + logvar.exp().mean((0, 2, 3))).sqrt())
        if data is kept:
            torch.testing.assert_close(torch.tensor(found.mean), mean.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(torch.tensor(found.spread), spreads[0], rtol=1e-4, atol=1e-5)
    relative = spreads[1] / spreads[0]
    torch.testing.assert_close(torch.tensor(found.held_out), relative, rtol=1e-4, atol=1e-5)


def test_stopped_and_resumed_bit_for_bit(cli: Cli, trained: Path, pictures: Path, tmp_path: Path) -> None:
    """Before the discriminator, while it trains alone, and after."""
    command = ("train", pictures, "--recipe", AUTOENCODER, "--adversarial", "--out", tmp_path / "ae", *FLAGS)
    for step in (2, 7, 11):
        with stopped_at(step):
            assert cli(*command) == 75
        with refuses("missing", "not finished"):
            RunFolder(tmp_path / "ae").latents()
    assert cli(*command) == 0
    assert digests(tmp_path / "ae") == digests(trained)
    # killed before it was measured
    (tmp_path / "ae" / "latents.json").unlink()
    assert cli(*command) == 0
    assert digests(tmp_path / "ae") == digests(trained)


def test_python_does_what_the_command_does(trained: Path, pictures: Path, tmp_path: Path) -> None:
    run = ddpm.train(
        pictures,
        out=tmp_path / "ae",
        recipe=AUTOENCODER,
        adversarial=True,
        budget=192,
        precision="fp32",
        batch=16,
        network={"width": 8},
    )
    assert isinstance(run, RunFolder)
    assert digests(tmp_path / "ae") == digests(trained)


def test_the_discriminator_is_dropped_when_the_held_out_psnr_falls(
    cli: Cli, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fell before it took part does not count."""
    values = iter([20.0, 25.0] + [20.0] * 5 + [19.9, 19.0] + [21.0] * 20)
    monkeypatch.setattr(reconstruction.HeldOutPSNR, "__call__", lambda *_: next(values))
    every = ("--set", "training.keep=99")
    assert (
        cli("train", pictures, "--recipe", AUTOENCODER, "--adversarial", "--out", tmp_path / "ae", *FLAGS, *every) == 0
    )
    (warning,) = events(tmp_path / "ae", "warning")
    assert (warning["step"], "20.00 to 19.00 dB" in warning["text"]) == (9, True)

    def judge(step: int) -> dict[str, torch.Tensor]:
        found = load_file(tmp_path / "ae" / "checkpoints" / f"step-{step:09d}" / "model.safetensors")
        return {name: w for name, w in found.items() if name.startswith("auxiliary.") and name.endswith("weight")}

    def moved(a: int, b: int) -> bool:
        one, other = judge(a), judge(b)
        return any(not torch.equal(one[name], other[name]) for name in one)

    assert not moved(1, 6)
    assert moved(6, 7)
    last = load_file(tmp_path / "ae" / "checkpoints" / f"step-{STEPS:09d}" / "model.safetensors")
    assert not last["auxiliary.active"]


def test_lpips_in_place_of_the_embedded_network(
    cli: Cli, refused: Callable[..., str], pictures: Path, tmp_path: Path
) -> None:
    weights, file = random_weights(), tmp_path / "lpips.pth"
    torch.save(weights, file)
    few = ("--images", "32", "--batch", "16", "--width", "8", "--precision", "fp32", "--mode", "RGB")
    command = ("train", pictures, "--recipe", AUTOENCODER, "--lpips", file, *few)
    weigh = "objective.perceptual={}".format
    used, unused = tmp_path / "used", tmp_path / "unused"
    assert cli(*command, "--out", used, "--set", weigh(1)) == 0
    assert cli(*command, "--out", unused, "--set", weigh(0)) == 0
    for folder, trained_on in ((used, True), (unused, False)):
        run = RunFolder(folder)
        found, recorded = run.reconstruction(), run.autoencoder().objective.lpips
        assert found.lpips is not None
        assert recorded is not None
        assert (found.lpips.trained_on, found.lpips.weights) == (trained_on, recorded.weights)
        assert not found.distances[0].trained_on
        model, _, held = opened(run, pictures)
        images = torch.from_numpy(held.images)
        x, y = map(PixelCodec().encode, (images, reconstruction.reconstructed(model, images)))
        assert found.lpips.mean == pytest.approx(float(reference(weights, x, y).mean()), rel=1e-3)
    first, without = (events(folder, "train")[0]["loss"] for folder in (used, unused))
    assert first > 1.1 * without  # by the distance, as the first step begins with the same weights

    torch.save(random_weights(seed=1), file)
    assert "changed since" in refused(*command, "--out", used, "--set", weigh(1))
    file.unlink()
    assert str(file) in refused(*command, "--out", used, "--set", weigh(1))


def test_a_large_network_of_any_width(cli: Cli, pictures: Path, tmp_path: Path) -> None:
    """Group normalisation of 32 groups would need a multiple of 32 channels."""
    flags = ("--images", "100M", "--width", "12", "--batch", "4", "--dry-run")
    assert cli("train", pictures, "--recipe", AUTOENCODER, "--out", tmp_path / "ae", *flags) == 0


def test_other_commands_say_what_to_do_with_it(cli: Cli, trained: Path, pictures: Path) -> None:
    for command in ("sample", "evaluate", "report", "likelihood"):
        with refuses("incompatible", f"ddpm train {pictures} --codec {trained}"):
            from ddpm.cli import app

            app([command, str(trained)])


WORKER = """
import sys
from ddpm.cli import main
try:
    main(sys.argv[1:])
except SystemExit as e:
    assert not e.code, e.code
"""


def test_two_processes_train_one_autoencoder(trained: Path, pictures: Path, tmp_path: Path) -> None:
    command = ["train", str(pictures), "--recipe", AUTOENCODER, "--adversarial", "--out", str(tmp_path / "two"), *FLAGS]
    said = forked.together(WORKER, *command, folder=tmp_path)
    assert "".join(said).count("\nreconstruction of ") == 1
    one, two = (events(folder, "train") for folder in (trained, tmp_path / "two"))
    assert [line["loss"] for line in two][:4] == pytest.approx([line["loss"] for line in one][:4], rel=1e-3)
    assert RunFolder(tmp_path / "two").latents().weights == RunFolder(tmp_path / "two").reconstruction().weights

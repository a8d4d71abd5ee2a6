"""The public face: a run's folder in, pictures out, by the functions that it stands for."""

import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.tiny import pipeline

import ddpm
from ddpm.images import decode
from ddpm.planning import follow
from ddpm.records.provenance import Provenance, save
from ddpm.system.interrupt import Interrupted
from ddpm.tasks import edit, generate, inpaint, interpolate, likelihood, outpaint, restore, upscale
from flags import BARE
from refusal import refuses


def test_a_run_needs_nothing_but_its_folder(digits_run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No data, no cache, and no pickle on the way."""

    def never(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a pickle was read")

    for module, name in ((torch, "load"), (pickle, "load"), (pickle, "loads"), (pickle, "Unpickler")):
        monkeypatch.setattr(module, name, never)
    monkeypatch.setattr(torch.serialization, "load", never)
    monkeypatch.setenv("DDPM_CACHE", str(tmp_path / "nothing"))
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(digits_run / name, moved)
    images = ddpm.load(moved).sample(2, label="3", steps=3)
    assert [(image.mode, image.size) for image in images] == [("L", (8, 8))] * 2
    assert not (tmp_path / "nothing").exists()


PHOTO, OTHER = (Image.fromarray(np.random.default_rng(i).integers(0, 256, (8, 8), np.uint8)) for i in (0, 1))
MASK = Image.fromarray(np.repeat(np.uint8([0, 255]), 4)[None].repeat(8, 0))


def test_a_method_is_its_task() -> None:
    for name, function, given, options in [
        ("sample", generate.sample, (2,), {"label": "star", "seed": 3, "steps": 2}),
        ("inpaint", inpaint.inpaint, (PHOTO, MASK), {"n": 2, "method": "ddnm"}),
        ("outpaint", outpaint.outpaint, (PHOTO,), {"left": 2, "steps": 2}),
        ("edit", edit.edit, (PHOTO, 0.5), {"seed": 3}),
        ("restore", restore.restore, (PHOTO, "blur:1"), {"noise": 0.1}),
        ("interpolate", interpolate.interpolate, (PHOTO, OTHER), {"n": 3, "steps": 2}),
        ("upscale", upscale.upscale, ([PHOTO, OTHER],), {"seed": 3}),
        ("bits_per_dim", likelihood.bits_per_dim, ([PHOTO, OTHER],), {"steps": 3}),
    ]:
        pipe = pipeline("L", scale=2 if name == "upscale" else None)
        found, wanted = getattr(pipe, name)(*given, **options), function(pipe.run, *given, **options)

        def values(made: Any) -> list[Any]:
            each = made if isinstance(made, list) else [made]
            return [(one.tobytes(), one.info) if isinstance(one, Image.Image) else one.tolist() for one in each]

        assert values(found) == values(wanted)


SMALL: dict[str, Any] = {
    "budget": 96,
    "batch": 16,
    "precision": "fp32",
    "network": {"width": 8, "multipliers": [1], "attention": [], "blocks": 1},
    "training": {"checkpoint_every": 32, "log_every": 16, "previews": 1},
}
FLAGS = (
    *("--images", "96", "--batch", "16", "--precision", "fp32", *BARE),
    *("--set", "training.checkpoint_every=32", "--set", "training.log_every=16", "--set", "training.previews=1"),
)
"""Six steps, in Python and on the command line."""


def weights(run: Path) -> list[bytes]:
    last = sorted((run / "checkpoints").iterdir())[-1]
    return [path.read_bytes() for path in (run / "model.safetensors", *sorted(last.iterdir()))]


def test_importing_ddpm_waits_for_nothing() -> None:
    """Nor does the size of a network wait for PyTorch's compiler, which takes a second to import."""
    script = """
import ddpm, sys
assert 'torch' not in sys.modules
from ddpm import train, Dataset
import torch
from ddpm.system.meta import shapes_only
with shapes_only():
    torch.nn.Embedding(2, 3), torch.nn.Linear(2, 3)
assert 'torch._dynamo' not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_train_is_the_command(cli: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same weights, record and messages; and either goes on with a run that the other started."""
    typed, called = tmp_path / "a" / "run", tmp_path / "b" / "run"
    assert cli("train", "digits", "--out", typed, *FLAGS) == 0
    said = capsys.readouterr().out
    pipe = ddpm.train("digits", out=called, **SMALL)
    assert capsys.readouterr().out.replace(str(called), str(typed)).splitlines()[:4] == said.splitlines()[:4]
    assert weights(called) == weights(typed)
    assert json.loads((called / "config.json").read_text()) == json.loads((typed / "config.json").read_text())
    assert pipe.sample(1, steps=1, label="3")[0].size == (8, 8)
    assert cli("train", "digits", "--out", called, *FLAGS) == 0
    ddpm.train("digits", out=typed, **SMALL)
    with refuses("incompatible", "--batch 16"):
        ddpm.train("digits", out=typed, **SMALL | {"batch": 8})
    ddpm.train("digits", out=tmp_path / "c", **SMALL | {"budget": 16, "precision": "bf16"})


def test_every_flag_of_the_command_is_a_keyword() -> None:
    from dataclasses import fields

    from ddpm.cli.train import Flags
    from ddpm.planning import request

    own = {"for_", "images", "set_", "device", "tensorboard", "dry_run"}
    assert {f.name for f in fields(Flags)} - own == {*request.FLAGS, *request.KEYS}
    given = {"size": (16, 24), "lr": 0.5, "sampling": {"guidance": {"scale": 2}}, "low": Path("x"), "mode": None}
    assert request.flags("20m", given) == {
        "for": "20m",
        "size": "16x24",
        "lr": 0.5,
        "low": "x",
        "set": ["sampling.guidance.scale=2"],
    }


def test_keywords_that_are_refused(tmp_path: Path) -> None:
    for wrong, code, named in [
        ({"sise": 64}, "unknown", "'sise' (did you mean 'size'?)"),
        ({"network": 64}, "invalid", "network is 64"),
        ({"network": {"widht": 64}}, "invalid", "'network.widht'"),
        ({"network": {"width": object()}}, "invalid", "network.width is <object"),
        ({"mode": "RGBX"}, "unknown", "--mode RGBX"),
        ({"precision": "fp8"}, "unknown", "--precision fp8"),
        ({"device": "tpu"}, "device", "'tpu'"),
        ({"budget": "soon"}, "invalid", "'soon'"),
    ]:
        with refuses(code, named):
            ddpm.train("digits", out=tmp_path / "run", **SMALL | wrong)
        assert not (tmp_path / "run").exists()


def test_interrupted_and_gone_on_in_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt saves everything; another thread than the main one, which gets no signals, goes on."""
    whole, parts, train = tmp_path / "whole", tmp_path / "parts", follow.train

    def stopped(job: Any, accelerator: Any, interrupt: Any) -> Any:
        for event in train(job, accelerator, interrupt):
            interrupt.requested = event.step == 3
            yield event

    ddpm.train("digits", out=whole, **SMALL)
    with monkeypatch.context() as patch:
        patch.setattr(follow, "train", stopped)
        with pytest.raises(Interrupted):
            ddpm.train("digits", out=parts, **SMALL)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(ddpm.train, "digits", out=parts, **SMALL).result()
    assert weights(parts) == weights(whole)


def test_a_data_set_in_memory_is_the_folder_of_its_images(folder: Callable[..., Path], tmp_path: Path) -> None:
    """The same weights from a folder, PIL images, arrays and tensors; what is stored is read again to resume."""
    root = folder(8, classes=("cat", "dog"))
    paths = sorted(root.rglob("*.png"))
    images, labels = [Image.open(path) for path in paths], [path.parent.name for path in paths]
    array = np.stack([np.asarray(image) for image in images])
    channels_first = torch.from_numpy(array).permute(0, 3, 1, 2)
    ddpm.train(root, out=tmp_path / "folder", **SMALL)
    for name, given in {
        "pil": images,
        "uint8": array,
        "floats": array / 255,
        "tensor": channels_first,
        "half": (channels_first / 127.5 - 1),
    }.items():
        data, out = ddpm.Dataset.of(given, labels), tmp_path / name
        assert data.classes == ("cat", "dog")
        np.testing.assert_array_equal(data.images, array)
        if name in ("pil", "half"):
            ddpm.train(data, out=out, **SMALL)
            assert weights(out) == weights(tmp_path / "folder")
    before = (out / "images.npz").read_bytes()
    assert ddpm.train(data, out=out, **SMALL).classes == ("cat", "dog")
    assert (out / "images.npz").read_bytes() == before
    with refuses("incompatible", "images.npz"):
        ddpm.train(ddpm.Dataset.of(array[::-1], labels), out=out, **SMALL)
    with refuses("incompatible", "images.npz"):
        ddpm.train(ddpm.Dataset.of(array, labels, labels), out=out, **SMALL)
    np.testing.assert_array_equal(ddpm.Dataset.of(array[..., 0], [0, 1] * 4).images, array[..., :1])


def test_data_sets_that_are_refused() -> None:
    for images, named in [
        (np.zeros((2, 8, 8, 3), np.int64), "int64"),
        (np.full((2, 8, 8, 3), 7.0), "from 7 to 7"),
        (np.full((2, 8, 8, 3), np.nan), "from 0 to 1"),
        (np.zeros((8, 8), np.uint8), "(8, 8)"),
        (np.zeros((2, 8, 8, 5), np.uint8), "(2, 8, 8, 5)"),
        (torch.zeros(2, 8, 8, 3, dtype=torch.uint8), "(2, 8, 8, 3)"),
        (torch.rand(2, 3, 8, 8), "below 0"),
        (torch.randn(2, 3, 8, 8) * 9, "from -1 to 1"),
        ([Image.new("L", (8, 8)), Image.new("L", (8, 9))], "2 sizes or modes"),
        ([], "0 sizes or modes"),
    ]:
        with refuses("invalid", named):
            ddpm.Dataset.of(images)


def test_a_picture_is_given_in_any_form(tmp_path: Path) -> None:
    """A file, a PIL image, an array and a tensor give the same; several may be one array, too."""
    pipe, pixels = pipeline("RGB"), np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    Image.fromarray(pixels[0]).save(tmp_path / "photo.png")
    mask = np.repeat(np.array([False, True]), 4)[None].repeat(8, 0)
    Image.fromarray(mask).save(tmp_path / "mask.png")
    channels_first = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    wanted = pipe.inpaint(tmp_path / "photo.png", tmp_path / "mask.png", steps=2)
    for photo in (str(tmp_path / "photo.png"), Image.fromarray(pixels[0]), pixels[0], channels_first[0]):
        assert pipe.inpaint(photo, mask, steps=2).tobytes() == wanted.tobytes()
    for photo in (pixels[0] / 255, channels_first[0] / 127.5 - 1):
        assert pipe.inpaint(photo, torch.from_numpy(mask), steps=2).tobytes() == wanted.tobytes()
    several = [one.tobytes() for one in pipe.edit(pixels, 0.5)]
    assert several == [one.tobytes() for one in pipe.edit(channels_first, 0.5)]
    assert several == [one.tobytes() for one in pipe.edit([Image.fromarray(one) for one in pixels], 0.5)]
    assert torch.equal(pipe.bits_per_dim(pixels, steps=2), pipe.bits_per_dim(channels_first, steps=2))
    with pytest.raises(ddpm.InputError, match=r"e an array \(H, W, C\) or a tensor \(C, H, W\)"):
        pipe.edit(torch.zeros(8, 8, 3), 0.5)


def test_a_picture_is_drawn_again_from_its_record_in_any_form(tmp_path: Path) -> None:
    pipe = pipeline("RGB")
    [picture] = pipe.sample(1, steps=2, seed=3)
    save(picture, tmp_path / "0.png")
    for given in (Provenance.of(picture), picture, tmp_path / "0.png", str(tmp_path / "0.png")):
        assert pipe.again(given).tobytes() == picture.tobytes()


def test_arguments_that_are_refused(tmp_path: Path) -> None:
    pipe = pipeline("RGB")
    for call, code, named in [
        (lambda: pipe.again(Image.new("RGB", (8, 8))), "missing", "no record"),
        (lambda: pipe.again(None), "missing", "None has no record"),
        (lambda: pipe.export("diffuser", tmp_path / "out"), "unknown", "'diffuser' (did you mean 'diffusers'?)"),
        (lambda: pipe.edit(PHOTO, None), "missing", "strength is missing"),
        (lambda: pipe.restore(PHOTO, 5), "invalid", "operator is 5"),
        (lambda: ddpm.train(np.zeros((9, 8, 8, 1), np.uint8), out=tmp_path / "run"), "invalid", "ddpm.Dataset.of"),
    ]:
        with refuses(code, named):
            call()


def test_outputs_agree() -> None:
    for mode in ["L", "RGB", "RGBA"]:
        pipe, channels = pipeline(mode), len(mode)
        drawn = pipe.sample(3, steps=2)
        array, tensor = (pipe.sample(3, steps=2, output=output) for output in ("numpy", "torch"))
        assert (array.shape, array.dtype) == ((3, 8, 8, channels), np.uint8)
        assert (tuple(tensor.shape), tensor.dtype) == ((3, channels, 8, 8), torch.uint8)
        for image, a, t in zip(drawn, array, tensor, strict=True):
            np.testing.assert_array_equal(np.atleast_3d(np.asarray(image)), a)
            np.testing.assert_array_equal(t.permute(1, 2, 0).numpy(), a)
        assert pipe.edit(drawn[0], 0.5, output="numpy").shape == (1, 8, 8, channels)
        # a contact sheet of 2 × 2, each eight times as large
        shown = decode.decode(drawn._repr_png_())[0]
        assert shown.size == (130, 130)
        with pytest.raises(ddpm.InputError, match="pil, numpy, torch"):
            pipe.sample(1, output="jax")


def test_pictures_of_several_sizes() -> None:
    pipe = pipeline("L")
    given = [PHOTO, PHOTO.resize((16, 8))]
    with pytest.raises(ddpm.InputError, match="2 shapes, which"):
        pipe.edit(given, 0.5, output="torch")
    assert decode.decode(pipe.edit(given, 0.5)._repr_png_())[0].height == 128


def test_each_file_is_decoded_once(
    cli: Callable[..., int], folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a first ``ddpm train`` of a folder, and by the commands that change pictures."""
    decoded: list[int] = []
    load = decode.load

    def counted(data: bytes, *limits: Any) -> Image.Image:
        decoded.append(hash(data))
        return load(data, *limits)

    monkeypatch.setattr(decode, "load", counted)
    monkeypatch.setenv("DDPM_CACHE", str(tmp_path / "cold"))
    root, run = folder(5), tmp_path / "run"
    assert cli("train", root, "--out", run, *FLAGS) == 0
    assert len(decoded) == len(set(decoded)) == 5
    mask = tmp_path / "mask.png"
    MASK.save(mask)
    for command in (
        ("inpaint", run, root / "0.png", "--mask", mask),
        ("outpaint", run, root / "0.png", "--left", "2"),
        ("edit", run, root / "0.png", "--strength", "0.5"),
        ("restore", run, root / "0.png", "--operator", f"mask:{mask}"),
    ):
        decoded.clear()
        assert cli(*command, "--steps", "2", "--out", tmp_path / command[0]) == 0
        assert len(decoded) == len(set(decoded)) == (2 if mask in command or "mask:" in str(command) else 1)

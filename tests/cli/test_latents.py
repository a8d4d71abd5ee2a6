"""Diffusion in latents from the command line: a run that needs its folder alone, and what is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import autoencoders
import ddpm
import forked
from ddpm.engine.loading import load
from ddpm.records.codec import StoredCodec
from ddpm.records.run_folder import RunFolder
from ddpm.system.cache import latents_folder
from flags import TINY
from refusal import refuses

Cli = Callable[..., int]
FLAGS = (
    *("--images", "192", "--batch", "16", "--precision", "fp32", *TINY, "--flip"),
    *("--set", "training.checkpoint_every=64", "--set", "training.previews=1"),
)


WORKER = """
import sys
from ddpm.cli import main
from ddpm.codec import AutoencoderCodec
seen, halved = [], AutoencoderCodec._halved
AutoencoderCodec._halved = lambda self, images: seen.append(len(images)) or halved(self, images)
try:
    main(sys.argv[1:])
except SystemExit as e:
    assert not e.code, e.code
print("encoded", sum(seen))
"""


@pytest.fixture(scope="module")
def places(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An autoencoder of digits, and a run of 12 steps in its latents, which are mirrored too; for reading only."""
    root = tmp_path_factory.mktemp("latents")
    autoencoders.stored(root / "ae")
    assert cli("train", "digits", "--codec", root / "ae", "--out", root / "run", *FLAGS) == 0
    return root / "ae", root / "run"


@pytest.fixture
def alone(places: tuple[Path, Path], tmp_path: Path) -> Path:
    """A copy of the run's folder, far from the autoencoder."""
    shutil.copytree(places[1], tmp_path / "run")
    (tmp_path / "digit.npz").parent.mkdir(exist_ok=True)
    values = np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8)
    Image.fromarray(values).save(tmp_path / "photo.png")
    mask = np.zeros((8, 8), np.uint8)
    mask[:, 5:] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    return tmp_path


def test_the_run_says_what_it_is(places: tuple[Path, Path]) -> None:
    ae, run = places
    config = RunFolder(run).config()
    assert config.shape == (3, 4, 4)
    assert config.divisor % 2 == 0
    assert config.codec.model_dump() == {
        "kind": "autoencoder",
        "source": str(ae),
        "weights": StoredCodec.read(ae).hash,
        "statistics": StoredCodec.read(ae).latents.statistics,
        "factor": 2,
        "image_channels": 1,
        "latent_channels": 3,
    }
    assert not config.sampling.clips
    assert StoredCodec.read(RunFolder(run).codec).hash == StoredCodec.read(ae).hash
    assert "latent diffusion" in (run / "README.md").read_text()
    assert Image.open(run / "previews" / "images-000000192.png").size[0] > 8


def test_every_command_needs_the_run_alone(
    cli: Cli, alone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(alone)
    (checkpoint,) = sorted(Path("run/checkpoints").iterdir())[-1:]
    for words in (
        "sample run -n 2 --steps 2 --trajectory",
        f"sample {checkpoint} -n 1 --steps 2",
        "sample run -n 1 --steps 2 --size 12 --solver ancestral --label 3 --guidance 2",
        "inpaint run photo.png --mask mask.png --steps 2",
        "inpaint run photo.png --mask mask.png --repaint 1x2 --steps 2",
        "outpaint run photo.png --left 4 --steps 2",
        "edit run photo.png --strength 0.5 --steps 2",
        "interpolate run photo.png photo.png -n 2 --steps 2",
        "evaluate run -n 16 --steps 2",
        "sweep run -n 2 --steps 2 --solvers ddim --samples 10",
        "tune run --steps 2 -n 2 --solvers dpm++-2m",
        "report run",
    ):
        assert cli(*words.split()) == 0, (words, capsys.readouterr())


def test_known_pixels_are_kept_and_the_hidden_ones_are_not_seen(alone: Path) -> None:
    """The mask ends within a position of the latents."""
    pipe = ddpm.load(alone / "run", "cpu")
    photo, mask = Image.open(alone / "photo.png"), Image.open(alone / "mask.png")
    made = np.asarray(pipe.inpaint(photo, mask, steps=2))
    known = np.asarray(mask) == 0
    assert np.array_equal(made[known], np.asarray(photo)[known])
    hidden = Image.fromarray(np.where(known, np.asarray(photo), 77).astype(np.uint8))
    assert np.array_equal(np.asarray(pipe.inpaint(hidden, mask, steps=2)), made)
    thin = np.full((8, 8), 255, np.uint8)
    thin[::2] = 0
    with refuses("invalid", "2 × 2"):
        pipe.inpaint(photo, Image.fromarray(thin), steps=2)


def test_a_sample_is_reproduced_from_its_picture(cli: Cli, alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(alone)
    assert cli("sample", "run", "-n", "2", "--steps", "2", "--out", "made") == 0
    assert cli("sample", "--from", "made/00001.png") == 0
    assert Image.open("made/00001-again.png").tobytes() == Image.open("made/00001.png").tobytes()


def test_an_interrupted_run_is_resumed_bit_for_bit(cli: Cli, alone: Path) -> None:
    """From the checkpoint before the last, without the autoencoder or the cache of latents."""
    run = alone / "run"
    before = (run / "model.safetensors").read_bytes()
    config = RunFolder(run).config()
    shutil.rmtree(sorted((run / "checkpoints").iterdir())[-1])
    (run / "model.safetensors").unlink()
    shutil.rmtree(latents_folder(config.codec.weights, config.data.fingerprint))  # type: ignore[union-attr]
    assert cli("train", "digits", "--codec", config.request["codec"], "--out", run, *FLAGS) == 0
    assert (run / "model.safetensors").read_bytes() == before


def test_a_student_has_the_codec_too(cli: Cli, alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(alone)
    few = ("--steps", "2", "--teacher-steps", "3", "--images", "64", "--batch", "16")
    assert cli("distill", "run", "--out", "student", *few) == 0
    shutil.rmtree("run")
    assert cli("sample", "student", "-n", "1") == 0


def test_a_changed_codec_is_found(alone: Path, tmp_path: Path) -> None:
    copy = RunFolder(alone / "run").codec
    statistics = (copy / "latents.json").read_text()
    tree = json.loads(statistics)
    (copy / "latents.json").write_text(json.dumps(tree | {"mean": [mean + 1 for mean in tree["mean"]]}))
    with refuses("incompatible", "the statistics of", "codec"):
        load(alone / "run")
    (copy / "latents.json").write_text(statistics)
    load(alone / "run")
    other = autoencoders.stored(tmp_path / "other", seed=1)
    shutil.copy(tmp_path / "other" / "model.safetensors", copy)
    with refuses("incompatible", "latents.json"):  # the statistics of one, the weights of another
        load(alone / "run")
    other.write(copy)
    with refuses("incompatible", "codec"):
        load(alone / "run")
    shutil.rmtree(copy)
    with refuses("missing", "codec"):
        load(alone / "run")


def test_two_processes_encode_half_each_and_are_as_one(places: tuple[Path, Path], tmp_path: Path) -> None:
    """Both read what they encode together, and draw the same latents for a row as a single process."""
    argv = ["train", "digits", "--codec", str(places[0]), "--out", str(tmp_path / "two"), *FLAGS, "--device", "cpu"]
    said = forked.together(WORKER, *argv, folder=tmp_path, env={"DDPM_CACHE": str(tmp_path / "cache")})
    counts = [int(text.split()[-1]) for text in said]
    assert sum(counts) == 2 * 1797
    assert min(counts) > 1700
    config = RunFolder(places[1]).config()
    files = latents_folder(config.codec.weights, config.data.fingerprint)  # type: ignore[union-attr]
    for path in files.iterdir():
        (again,) = (tmp_path / "cache").rglob(path.name)
        assert again.read_bytes() == path.read_bytes()
    one, two = (load_file(run / "model.safetensors") for run in (places[1], tmp_path / "two"))
    for name, weights in one.items():
        torch.testing.assert_close(two[name], weights, rtol=1e-3, atol=1e-4, msg=name)


def test_another_autoencoder_starts_another_run_and_has_other_latents(
    cli: Cli, places: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    autoencoders.stored(tmp_path / "other", seed=1)
    assert cli("train", "digits", "--codec", tmp_path / "other", "--out", places[1], *FLAGS) == 2
    assert "--codec" in capsys.readouterr().err
    run = ddpm.train(
        "digits",
        out=tmp_path / "run",
        codec=tmp_path / "other",
        budget=16,
        device="cpu",
        batch=16,
        network={"width": 8},
    )
    data = run.config.data.fingerprint
    both = [latents_folder(StoredCodec.read(ae).hash, data) for ae in (places[0], tmp_path / "other")]
    assert all((folder / "plain.f16").exists() for folder in both)
    assert len(set(both)) == 2


@pytest.mark.parametrize(
    ("flags", "code", "named"),
    [
        (("--codec", "none"), "missing", ("none",)),
        (("--codec", "run"), "incompatible", ("run", "--recipe autoencoder")),
        (("--codec", "ae", "--mode", "RGB"), "incompatible", ("L", "RGB", "--mode")),
        (("--codec", "ae", "--size", "12x13"), "invalid", ("--size 12x12",)),
        (("--codec", "ae", "--size", "4"), "invalid", ("2 × 2", "--size 8")),
        (("--codec", "ae", "--out", "ae"), "exists", ("ae", "--out")),
        (("--recipe", "autoencoder", "--out", "run"), "exists", ("run", "--out")),
        (("--codec", "ae", "--recipe", "super-resolution"), "conflict", ("--codec", "super-resolution")),
        (("--codec", "ae", "--recipe", "autoencoder"), "conflict", ("--codec", "autoencoder")),
        (("--set", "codec.kind=autoencoder"), "conflict", ("codec.kind", "--codec")),
        (("--codec", "ae", "--set", "sampling.clip=range"), "invalid", ("sampling.clip",)),
    ],
)
def test_what_cannot_be_trained_is_refused(
    cli: Cli,
    places: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flags: tuple[str, ...],
    code: str,
    named: tuple[str, ...],
) -> None:
    monkeypatch.chdir(places[0].parent)
    out = () if "--out" in flags else ("--out", tmp_path / "new")
    assert cli("train", "digits", *out, "--images", "64", *flags) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert all(name in line for name in named), line
    assert not (tmp_path / "new").exists()


def test_large_images_come_with_advice_on_latents(
    cli: Cli, folder: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    large, small = folder(2, size=(128, 16), name="large"), folder(2, size=(64, 16), name="small")
    assert cli("check", large) == 0
    assert "--recipe autoencoder" in capsys.readouterr().out
    assert cli("check", small) == 0
    assert "--recipe autoencoder" not in capsys.readouterr().out

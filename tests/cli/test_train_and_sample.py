"""From a folder of pictures to samples of the same kind, and what is left on the way."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddpm.records.provenance import Provenance
from flags import sets

Cli = Callable[..., int]
SHORT = ("--images", "32", "--batch", "8", "--precision", "fp32", *sets("network.width=8", "network.blocks=1"))


def test_a_mode_survives_to_the_file(
    cli: Cli, folder: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for mode in ["L", "RGB", "RGBA"]:
        photos, out, pictures = (
            folder(6, size=(8, 16), mode=mode, name=mode),
            tmp_path / f"{mode} run",
            tmp_path / f"{mode} pictures",
        )
        assert cli("train", photos, "--out", out, *SHORT) == 0
        assert json.loads((out / "config.json").read_text())["data"]["mode"] == mode
        capsys.readouterr()
        assert cli("sample", out, "-n", "3", "--steps", "2", "--out", pictures) == 0
        said = capsys.readouterr().out
        assert str(pictures / "grid.png") in said
        assert sorted(p.name for p in pictures.iterdir()) == ["00000.png", "00001.png", "00002.png", "grid.png"]
        for path in pictures.iterdir():
            with Image.open(path) as image:
                assert image.format == "PNG"
                assert image.mode == mode
                if path.name != "grid.png":
                    assert image.size == (16, 8)
        with Image.open(next((out / "previews").iterdir())) as page:
            assert page.mode == mode


def test_mixed_modes_by_choice(cli: Cli, folder: Callable[..., Path], tmp_path: Path) -> None:
    photos = folder(3)
    Image.new("L", (8, 8)).save(photos / "grey.png")
    assert cli("train", photos, "--out", tmp_path / "run", "--mode", "RGBA", *SHORT) == 0
    assert cli("sample", tmp_path / "run", "-n", "1", "--steps", "1", "--out", tmp_path / "p") == 0
    with Image.open(tmp_path / "p" / "00000.png") as image:
        assert image.mode == "RGBA"


def test_a_run_folder(digits_run: Path) -> None:
    assert {p.name for p in digits_run.iterdir()} == {
        *("README.md", "config.json", "log.jsonl", "model.safetensors", "checkpoints", "averages", "previews")
    }
    events = [json.loads(line) for line in (digits_run / "log.jsonl").read_text().splitlines()]
    assert (events[0]["kind"], events[-1]["kind"]) == ("start", "finish")
    assert {e["kind"] for e in events} >= {"train", "held-out", "preview", "checkpoint"}
    assert all(Path(e["path"]).exists() for e in events if e["kind"] == "preview")


@pytest.fixture
def run(digits_run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(digits_run, tmp_path / "run")


def test_samples_lie_in_the_run(cli: Cli, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ("-n", "3", "--label", "7", "--label", "2", "--seed", "5", "--steps", "2", "--guidance", "2")
    assert cli("sample", run, *argv) == 0
    folder = run / "samples" / "7-2-seed5-unipc_2x2-guidance2"
    how, *written = capsys.readouterr().out.splitlines()
    assert how == "sampling      unipc-2, 2 steps, trailing grid, guidance 2"
    assert written == [f"3 pictures in {folder}", str(folder / "grid.png")]
    records = [Provenance.read(folder / f"{i:05d}.png") for i in range(3)]
    assert [(r.label, r.seed, r.index, r.sampling.guidance_scale) for r in records] == [
        ("7", 5, 0, 2.0),
        ("2", 5, 1, 2.0),
        ("7", 5, 2, 2.0),
    ]


def test_from_a_checkpoint(cli: Cli, run: Path) -> None:
    assert cli("sample", run / "checkpoints" / "step-000000008", "-n", "1", "--steps", "1") == 0
    assert (run / "samples" / "step-000000008-seed0-unipc_2x1-guidance1.15" / "00000.png").exists()


def test_a_picture_is_drawn_again_byte_for_byte(cli: Cli, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    argv = ("--label", "3", "--eta", "1", "--seed", "9", "--steps", "3", "--guidance", "1.5")
    assert cli("sample", run, "-n", "4", *argv, "--out", run / "x") == 0
    picture = run / "x" / "00002.png"
    assert cli("sample", "--from", picture) == 0
    assert (run / "x" / "00002-again.png").read_bytes() == picture.read_bytes()
    # where the run was moved, the folder above the picture is it
    moved = run.parent / "moved"
    run.rename(moved)
    monkeypatch.chdir(run.parent)
    assert cli("sample", "--from", moved / "x" / "00001.png", "--out", moved / "y") == 0
    with Image.open(moved / "y" / "00001-again.png") as again, Image.open(moved / "x" / "00001.png") as first:
        assert np.array_equal(np.asarray(again), np.asarray(first))


def test_a_picture_of_any_grid_is_drawn_again(cli: Cli, run: Path) -> None:
    for grid, steps, recorded in [
        ("karras", 3, "karras"),
        ("beta", 3, "beta"),
        ("1000,400,99.5", None, (1000.0, 400.0, 99.5)),
    ]:
        asked = ("--grid", grid, *(("--steps", steps) if steps else ()))
        assert cli("sample", run, "-n", "2", "--seed", "9", *asked, "--out", run / "x") == 0
        picture = run / "x" / "00001.png"
        how = Provenance.read(picture).sampling
        assert (how.grid, how.steps) == (recorded, 3)
        assert cli("sample", run, "-n", "2", "--seed", "9", "--steps", "3", "--out", run / "trailing") == 0
        assert (run / "trailing" / "00001.png").read_bytes() != picture.read_bytes()
        assert cli("sample", "--from", picture) == 0
        assert (run / "x" / "00001-again.png").read_bytes() == picture.read_bytes()


GUIDED = (
    *("--negative", "8", "--guidance-interval", "0.1", "90"),
    *("--guidance-rescale", "0.7", "--guidance-parallel", "0", "--guidance-norm", "9", "--threshold", "0.9"),
)
"""All options of guidance by labels, and clipping by another way."""


def test_a_guided_picture_is_drawn_again(cli: Cli, run: Path) -> None:
    argv = ("-n", "1", "--label", "3", "--steps", "2", "--guidance", "3")
    assert cli("sample", run, *argv, *GUIDED) == 0
    assert cli("sample", run, *argv) == 0
    plain, guided = sorted((run / "samples").iterdir())
    assert guided.name.startswith(f"{plain.name}-negative8-guidance_interval_0.1__90.0_")
    assert (guided / "00000.png").read_bytes() != (plain / "00000.png").read_bytes()
    assert cli("sample", "--from", guided / "00000.png") == 0
    assert (guided / "00000-again.png").read_bytes() == (guided / "00000.png").read_bytes()


def test_a_picture_guided_by_a_checkpoint_is_drawn_again_where_the_run_was_moved(cli: Cli, run: Path) -> None:
    bad = run / "checkpoints" / "step-000000008"
    assert cli("sample", run, "-n", "1", "--steps", "2", "--guidance", "3", "--guide-with", bad) == 0
    moved = run.parent / "moved"
    run.rename(moved)
    picture = moved / "samples" / "seed0-unipc_2x2-guidance3-guide_withstep_000000008" / "00000.png"
    assert cli("sample", "--from", picture) == 0
    with Image.open(picture.with_name("00000-again.png")) as again, Image.open(picture) as first:
        assert np.array_equal(np.asarray(again), np.asarray(first))


def test_a_picture_of_weights_that_are_gone(cli: Cli, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("sample", run, "-n", "1", "--steps", "1", "--out", run / "x") == 0
    shutil.copy(run / "checkpoints" / "step-000000008" / "ema.safetensors", run / "model.safetensors")
    capsys.readouterr()
    assert cli("sample", "--from", run / "x" / "00000.png") == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "00000.png was made with weights" in err
    assert not (run / "x" / "00000-again.png").exists()


def test_a_dry_run_leaves_nothing(cli: Cli, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("train", "digits", "--out", tmp_path / "run", "--dry-run", *SHORT) == 0
    assert not (tmp_path / "run").exists()
    out = capsys.readouterr().out
    assert "of memory per process" in out
    assert "1,708 images of 8 × 8 L, 10 classes; 89 held out" in out
    assert "32 images (0.0 epochs), batch 8" in out
    assert re.search(r"measured  \d+ images/s, .* in total; peak memory [\d.]+ [MG]B per process", out)


def test_every_flag_reaches_the_run(cli: Cli, folder: Callable[..., Path], tmp_path: Path) -> None:
    """All at once, each with a value of its own."""
    from ddpm.planning import follow

    out = tmp_path / "run"
    given: list[tuple[list[str], str, object]] = [
        (["--size", "16x24"], "data.size", [16, 24]),
        (["--fit", "stretch"], "data.fit", "stretch"),
        (["--mode", "L"], "data.mode", "L"),
        (["--no-labels"], "data.classes", []),
        (["--flip"], "training.flip", True),
        (["--batch", "4"], "training.batch", 4),
        (["--micro-batch", "2"], "training.micro_batch", 2),
        (["--lr", "0.125"], "training.learning_rate", 0.125),
        (["--seed", "3"], "training.seed", 3),
        (["--workers", "1"], "training.workers", 1),
        (["--width", "16"], "network.width", 16),
        (["--prediction", "x0"], "diffusion.prediction", "x0"),
        (["--schedule", "ve"], "diffusion.schedule", "ve"),
        (["--sigma-max", "9"], "diffusion.sigma_max", 9.0),
        (["--precision", "bf16"], "training.precision", "bf16"),
        (["--images", "24"], "training.images", 24),
        (["--set", "training.clip=0.5"], "training.clip", 0.5),
        (["--set", "sampling.grid=quadratic"], "sampling.grid", "quadratic"),
    ]
    flags = [flag for words, _, _ in given for flag in words]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(follow, "train", lambda *_: iter(()))  # the plan is what is asked of
        assert cli("train", folder(4, classes=("a", "b")), "--out", out, *flags) == 0
    config = json.loads((out / "config.json").read_text())
    for _, key, value in given:
        part, name = key.split(".")
        assert config[part][name] == value, key


def test_bad_images_are_left_out_if_asked(cli: Cli, folder: Callable[..., Path], tmp_path: Path) -> None:
    photos, out = folder(4), tmp_path / "run"
    (photos / "bad.png").write_text("text")
    assert cli("train", photos, "--out", out, "--skip-bad", *SHORT) == 0
    config = json.loads((out / "config.json").read_text())
    assert (config["data"]["images"], config["data"]["skip_bad"]) == (4, True)
    assert cli("train", photos, "--out", out) == 0


def test_tensorboard(cli: Cli, tmp_path: Path) -> None:
    assert cli("train", "digits", "--out", tmp_path / "run", *SHORT, "--tensorboard") == 0
    assert list((tmp_path / "run" / "tensorboard").glob("events.*"))


def test_names_with_brackets_are_no_markup(
    cli: Cli, folder: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A warning names images; rich would take a bracket for a tag."""
    from ddpm.training.trainer import Trainer

    photos = folder(4, classes=("[", "b"))
    for path in list((photos / "[").iterdir()):
        path.rename(photos / "[" / f"red]{path.name}")
    update = Trainer._update

    def poisoned(self: Trainer, number: int, total: object) -> object:
        if number == 1:
            next(iter(self.model.parameters())).grad.fill_(float("nan"))  # type: ignore[union-attr]
        return update(self, number, total)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_update", poisoned)
        assert cli("train", photos, "--out", tmp_path / "run", *SHORT) == 0
    out = capsys.readouterr().out
    assert "warning skipped step 2" in out
    assert "[/red]" in out


def test_diverged_is_exit_code_3(cli: Cli, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from ddpm.training.trainer import Trainer

    update = Trainer._update

    def poisoned(self: Trainer, number: int, total: object) -> object:
        next(iter(self.model.parameters())).grad.fill_(float("nan"))  # type: ignore[union-attr]
        return update(self, number, total)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_update", poisoned)
        code = cli("train", "digits", "--out", tmp_path / "run", *SHORT, "--set", "training.patience=3")
    assert code == 3
    err = capsys.readouterr().err
    assert err.startswith("ddpm: 3 consecutive steps up to step 3 had no finite gradient (images ")
    assert err.count("\n") == 1


def test_doctor(cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("doctor") == 0
    out = capsys.readouterr().out
    for row in ("device", "precision", "memory", "python", "cache", "torch"):
        assert any(line.startswith(row) for line in out.splitlines())


def test_other_weights_and_labels_have_folders_of_their_own(cli: Cli, run: Path) -> None:
    checkpoint = next((run / "checkpoints").glob("step-*"))
    cases = [(run, "0123"), (run, "0129"), (run, "012"), (checkpoint, "012")]
    before = set((run / "samples").glob("*"))
    for number, (path, labels) in enumerate(cases, 1):
        asked = [word for label in labels for word in ("--label", label)]
        assert cli("sample", path, "-n", len(labels), "--steps", 1, *asked) == 0
        assert len(set((run / "samples").glob("*")) - before) == number

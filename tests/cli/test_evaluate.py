"""`ddpm evaluate` through the real command line."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from ddpm.config.sampling import SamplingConfig
from ddpm.evaluation.drawn import SHARD
from ddpm.evaluation.evaluate import N
from ddpm.evaluation.options import EvaluationOptions
from ddpm.records.score import Score

Refused = Callable[..., str]
Cli = Callable[..., int]
Capture = pytest.CaptureFixture[str]
FAST = ("-n", "64", "--steps", "2", "--device", "cpu")


@pytest.fixture(scope="module")
def evaluated(cli: Cli, digits_run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run that was evaluated with --out, and where the score went."""
    folder = tmp_path_factory.mktemp("evaluated")
    run = shutil.copytree(digits_run, folder / "run")
    assert cli("evaluate", run, *FAST, "--out", folder / "new" / "a.json") == 0
    return run, folder / "new" / "a.json"


@pytest.fixture
def run(evaluated: tuple[Path, Path], tmp_path: Path) -> Path:
    return shutil.copytree(evaluated[0], tmp_path / "run")


def scores(run: Path) -> list[Score]:
    return [Score.read(path) for path in (run / "evaluations").glob("*/score.json")]


def test_a_run(evaluated: tuple[Path, Path]) -> None:
    run, out = evaluated
    [score] = scores(run)
    assert Score.read(out) == score
    assert score.samples.source == str(run)
    [folder] = [path.parent for path in run.glob("evaluations/*/score.json")]
    assert (out.parent / "a-closest.png").read_bytes() == (folder / "closest.png").read_bytes()
    assert "Fréchet" in (run / "report.html").read_text(encoding="utf-8")


def test_what_it_prints(cli: Cli, run: Path, capsys: Capture) -> None:
    assert cli("evaluate", run, *FAST) == 0
    out = capsys.readouterr().out
    [score] = scores(run)
    for said in (
        str(run),
        "samples       64 against 1,797 of digits, embedded features",
        f"Fréchet       {score.frechet.value:.4g} ({score.frechet.low:.4g} to {score.frechet.high:.4g}); 64 real",
        f"KID           {score.kid.value:.4g}",
        r"\ncoverage ",
        "accuracy .* classified as the requested class; real images 9",
        r"colour        mean off by [+-]0\.\d{3} \(range -1 to 1\)",
        "copies        0.0 % of samples .* among 1,708 training images; .* of held-out images",
        "note .* 64 images",
        r"score         .*score\.json",
        r"report        .*report\.html",
    ):
        assert re.search(said if "\\" in said or ".*" in said else re.escape(said), out), said
    assert "Inception" not in out


def test_several_steps_and_checkpoints(cli: Cli, run: Path, capsys: Capture) -> None:
    """All steps of each of the earlier checkpoints and of the run; the last checkpoint is the run."""
    steps = ("--steps", "1,2", "--steps", "3")
    assert cli("evaluate", run, "-n", "16", "--device", "cpu", "--checkpoints", *steps) == 0
    found = {
        (score.samples.images_seen, score.samples.sampling.steps)
        for score in scores(run)
        if score.measure.n == 16 and score.samples.sampling
    }
    earlier = [int(path.name[5:]) * 16 for path in sorted((run / "checkpoints").iterdir())]
    assert len(earlier) > 1
    assert found == {(images, steps) for images in earlier for steps in (1, 2, 3)}
    assert capsys.readouterr().out.count("\nscore ") == 3 * len(earlier)


def test_a_checkpoint(cli: Cli, run: Path) -> None:
    path = run / "checkpoints" / "step-000000008"
    assert cli("evaluate", path, *FAST) == 0
    assert {score.samples.images_seen for score in scores(run)} == {192, 128}
    assert not (path / "report.html").exists()


def test_what_the_flags_mean(cli: Cli, run: Path) -> None:
    flags = ("--solver", "ddim", "--grid", "uniform", "--eta", "0.5", "--guidance", "2", "--no-clip", "--seed", "3")
    assert cli("evaluate", run, "-n", "16", "--steps", "2", "--batch", "5", "--device", "cpu", *flags) == 0
    [score] = [score for score in scores(run) if score.measure.n == 16]
    assert score.samples.seed == 3
    assert score.samples.sampling is not None
    assert score.samples.sampling == SamplingConfig.of(
        solver="ddim", steps=2, grid="uniform", eta=0.5, guidance=2.0, clip=False
    )


def test_guidance_by_a_checkpoint(cli: Cli, run: Path) -> None:
    """It is in the record, by name and weights, and in the folder's name."""
    flags = ("--steps", "2", "--guidance", "2", "--guide-with", "step-000000008", "--guidance-interval", "0.2", "50")
    assert cli("evaluate", run, "-n", "16", "--device", "cpu", *flags) == 0
    assert cli("evaluate", run, "-n", "16", "--device", "cpu", *flags[:4]) == 0
    found = [score.samples for score in scores(run) if score.measure.n == 16]
    plain, guided = sorted(found, key=lambda s: s.sampling.guidance.guide is not None)
    assert guided.sampling.guidance.guide.checkpoint == "step-000000008"
    assert guided.sampling.guidance.guide.weights != guided.weights
    assert guided.sampling.guidance.interval == (0.2, 50.0)
    assert plain.sampling.guidance.guide is None
    assert plain.hash != guided.hash


def test_the_defaults_that_help_names(capsys: Capture, cli: Cli) -> None:
    assert cli("evaluate", "--help") == 0
    text = " ".join(re.sub(r"[│╭╰─╮╯]", " ", capsys.readouterr().out).split())
    assert f"draw; {N:,} by default" in text
    assert f"seed; {EvaluationOptions().seed} by default" in text
    assert f"1 to {SHARD}; {SHARD} by default" in text


@pytest.fixture
def photos(folder: Callable[..., Path]) -> Path:
    return folder(16, size=(12, 8))


def test_a_folder(cli: Cli, photos: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "scores" / "b.json"
    assert cli("evaluate", photos, "--data", photos, "--out", out, "--device", "cpu") == 0
    tree = json.loads(out.read_text(encoding="utf-8"))
    assert tree["copy_rate"] == 1
    assert tree["frechet"]["value"] < 1e-9
    assert tree["measure"]["size"] == [12, 8]
    assert tree["samples"]["source"] == str(photos)
    with Image.open(out.with_name("b-closest.png")) as pairs:
        assert pairs.mode == "RGB"
    said = capsys.readouterr().out
    assert "copies        100.0 %" in said
    assert "report" not in said
    assert sorted(path.name for path in photos.iterdir()) == sorted(f"{i}.png" for i in range(16))


def test_sizes_and_modes_of_a_folder(cli: Cli, photos: Path, tmp_path: Path) -> None:
    Image.new("L", (30, 20)).save(photos / "z.png")
    flags = ("--size", "16x12", "--mode", "L", "--fit", "pad", "--device", "cpu")
    assert cli("evaluate", photos, "--data", photos, *flags, "--out", tmp_path / "c.json") == 0
    measure = Score.read(tmp_path / "c.json").measure
    assert (measure.n, measure.size, measure.mode) == (17, (16, 12), "L")


def test_notes_are_printed_as_they_are(cli: Cli, photos: Path, folder: Callable[..., Path], capsys: Capture) -> None:
    real = folder(12, size=(20, 20), name="real [bold] \\")
    assert cli("evaluate", photos, "--data", real, "--device", "cpu") == 0
    assert "real [bold] \\ were resized to 12 × 8 (crop)" in capsys.readouterr().out


def test_a_full_disk(refused: Refused, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "no space left to write" in refused("evaluate", run, "-n", "16", "--steps", "1", "--device", "cpu")
    assert not list(run.rglob("*.part"))


# processes


def test_what_sample_wrote_can_be_measured_as_it_is(evaluated: tuple[Path, Path], cli: Cli, tmp_path: Path) -> None:
    """Its sheet of all pictures is of another size, and no sample."""
    assert cli("sample", evaluated[0], "-n", "12", "--steps", "2", "--out", tmp_path / "drawn") == 0
    assert (tmp_path / "drawn" / "grid.png").exists()
    out = tmp_path / "score.json"
    assert cli("evaluate", tmp_path / "drawn", "--data", "digits", "--out", out) == 0
    assert json.loads(out.read_text())["measure"]["n"] == 12

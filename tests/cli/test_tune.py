"""``ddpm tune``, and what sampling makes of it."""

import os
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from ddpm import build
from ddpm.cli import EXIT_INTERRUPTED
from ddpm.config.guidance import GuidanceConfig
from ddpm.engine.loading import load
from ddpm.evaluation import guidance as searching
from ddpm.metrics.memorisation import Thumbnail
from ddpm.records.average import average as make_average
from ddpm.records.guidance import Average, GuidanceRecord, GuidanceTrial
from ddpm.records.provenance import Provenance
from ddpm.records.run_folder import RunFolder
from ddpm.records.tuning import TunedRecord
from ddpm.report.quality import LENGTH
from flags import TINY

Cli = Callable[..., int]
Refused = Callable[..., str]


def cheap(patch: pytest.MonkeyPatch) -> None:
    """Features that cost nothing, recall among few real images, and rough intervals."""
    patch.setattr(build, "build_features", lambda *args: Thumbnail())
    patch.setattr(searching, "BALLS", 200)
    patch.setattr(searching, "REPLICATES", 20)


def test_tuned_and_sampled(
    digits_run: Path, cli: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(digits_run, run)
    assert cli("tune", run, "--steps", "3,2", "-n", "2", "--solvers", "dpm++-2m") == 0
    said = capsys.readouterr().out
    assert "distance from the 20-step solution, over 2 samples" in said
    most, asked = (
        int(re.search(rf"{word} +(?:up to )?([\d,]+) single-image network evaluations", said)[1].replace(",", ""))
        for word in ("tuning", "cost")
    )
    assert 2 * 2 * 20 < asked <= most
    record = TunedRecord.read(run / "tuned.json")
    assert record is not None
    assert [grid.sampling.steps for grid in record.grids] == [2, 3]
    for grid in record.grids:
        assert f"{grid.tuned:.4f}" in said
    assert cli("sample", run, "-n", "1", "--label", "3", "--steps", "2", "--out", tmp_path / "drawn") == 0
    said = capsys.readouterr().out
    assert record.grids[0].sampling.words in said
    assert cli("sample", "--from", tmp_path / "drawn" / "00000.png") == 0
    again = (tmp_path / "drawn" / "00000-again.png").read_bytes()
    assert len(again) > 0
    assert cli("tune", run, "--steps", "4", "-n", "2", "--solvers", "dpm++-2m") == 0
    joined = TunedRecord.read(run / "tuned.json")
    assert joined is not None
    assert [grid.sampling.steps for grid in joined.grids] == [2, 3, 4]


def test_guidance_is_found_and_used(
    digits_run: Path, cli: Cli, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is printed, sampled with by default, plotted and reported; grids tuned for other guidance are named."""
    cheap(monkeypatch)
    run = tmp_path / "run"
    shutil.copytree(digits_run, run)
    assert cli("tune", run, "--steps", "2", "-n", "2", "--solvers", "dpm++-2m", "--guidance-scale", "7") == 0
    capsys.readouterr()
    assert cli("tune", run, "--guidance", "-n", "20", "--steps", "2", "--lengths", "0.05,0.15") == 0
    said = capsys.readouterr().out
    record = GuidanceRecord.read(run / "guidance.json")
    assert record.line in said
    assert said.count("(") >= len(record.trials)
    assert "tuned.json" in said
    assert [trial.length for trial in record.lengths] == [None, 0.05, 0.15]
    assert "\naverages of the weights at guidance" in said
    assert record.line.removeprefix("guidance ").split(":")[0] in (run / "README.md").read_text()
    chosen = GuidanceConfig(scale=3.4, interval=(0.0, 5.0))
    average = Average(length=0.15, weights=load(make_average(RunFolder(run), 0.15), "cpu").weights)
    record.model_copy(update={"chosen": chosen, "average": average}).write(run / "guidance.json")
    record = GuidanceRecord.read(run / "guidance.json")
    drawn = tmp_path / "drawn"
    for flags, used in (
        (["--label", "3"], chosen),
        (["--label", "3", "--guidance", "2"], GuidanceConfig(scale=2.0)),
    ):
        assert cli("sample", run, "-n", "1", "--steps", "2", *flags, "--out", drawn) == 0
        said = capsys.readouterr().out
        assert (f"tuned         {record.line}" in said) == (used == chosen)
        assert "weights       average of length 0.15" in said
        assert Provenance.read(drawn / "00000.png").sampling.guidance == used
    assert cli("sample", run, "-n", "1", "--steps", "2", "--out", drawn) == 0
    assert "tuned" not in capsys.readouterr().out, "without a label it has no effect"
    assert cli("plot", "guidance", run) == 0
    assert (run / "plots" / "guidance.png").stat().st_size > 0
    assert cli("report", run) == 0
    page = (run / "report.html").read_text()
    assert record.line in page
    assert "Recall against guidance" in page
    assert LENGTH in page


def test_lengths_are_numbers(digits_run: Path, refused: Refused) -> None:
    assert "--lengths" in refused("tune", digits_run, "--guidance", "--lengths", "0.1,long")
    assert "--guidance" in refused("tune", digits_run, "--lengths", "0.1")


SEARCHED = (
    *("--tune-guidance", "--set", "guidance_search.samples=12"),
    *("--set", "guidance_search.steps=2", "--set", "guidance_search.lengths=[0.1]"),
)


def test_a_run_is_searched_at_its_end(
    cli: Cli, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in the search, the same command resumes it; a finished run is left alone."""
    cheap(monkeypatch)
    out = tmp_path / "run"
    command = ("train", "digits", "--out", out, "--images", "64", "--batch", "16", *TINY, *SEARCHED)
    measure = searching._Trials.measure

    def interrupted(self: searching._Trials, guidance: GuidanceConfig | None) -> GuidanceTrial:
        found = measure(self, guidance)
        os.kill(os.getpid(), signal.SIGINT)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(searching._Trials, "measure", interrupted)
        assert cli(*command) == EXIT_INTERRUPTED
    said = capsys.readouterr().out
    assert "searched at the end, on 12 samples" in said
    assert "re-run the same command to resume" in said
    weights = (out / "model.safetensors").read_bytes()
    assert not (out / "guidance.json").exists()
    assert len(list((out / "drawn").iterdir())) == 1
    assert cli(*command) == 0
    record = GuidanceRecord.read(out / "guidance.json")
    assert record.line in capsys.readouterr().out
    assert (record.n, record.weights) == (12, load(out, "cpu", own=True).weights)
    assert [trial.length for trial in record.lengths] == [None, 0.1]
    assert (out / "model.safetensors").read_bytes() == weights
    assert cli(*command) == 0
    assert record.line not in capsys.readouterr().out
    assert load(out, "cpu").guided == record

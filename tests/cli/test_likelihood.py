"""`ddpm likelihood` through the real command line."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ddpm.cli import output
from ddpm.evaluation import likelihood as evaluation
from ddpm.records.likelihood import BitsRecord

Refused = Callable[..., str]
Cli = Callable[..., int]
Capture = pytest.CaptureFixture[str]
CPU = ("--device", "cpu")


@pytest.fixture
def run(digits_run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(digits_run, tmp_path / "run")


def records(run: Path) -> list[BitsRecord]:
    return [BitsRecord.read(path) for path in sorted(run.glob("likelihood/*/bits.json"))]


def test_a_run(cli: Cli, run: Path, capsys: Capture) -> None:
    assert cli("likelihood", run, *CPU, "-n", "20", "--steps", "3") == 0
    [record] = records(run)
    [folder] = (path.parent for path in run.glob("likelihood/*/bits.json"))
    assert (folder / "bits.png").exists()
    out = capsys.readouterr().out
    for said in (
        str(run),
        "images        20 of 89 held-out images of digits",
        f"bits per dim  {record.mean:.4f} ± {record.stderr:.4f}, variational bound, 3 steps, small variance",
        f"KL {record.kl:.4f}, decoder {record.decoder:.4f}",
        f"record        {folder / 'bits.json'}",
        f"report        {run / 'report.html'}",
    ):
        assert said in out, said
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Likelihood" in page
    assert f"{record.mean:.3f} ± {record.stderr:.3f}" in page


def test_what_the_flags_mean(cli: Cli, run: Path, folder: Callable[..., Path], capsys: Capture) -> None:
    photos = folder(12, size=(9, 8), mode="L", classes=("3", "5"))
    flags = (
        "--data",
        photos,
        "--fit",
        "stretch",
        "--terms",
        "2",
        "--labels",
        "--seed",
        "4",
        "--no-clip",
        "--variance",
        "large",
    )
    assert cli("likelihood", run, *CPU, *flags, "--steps", "5", "--steps", "6,7", "--batch", "5", "-n", "9") == 0
    found = records(run)
    assert [record.how.steps for record in found] == [5, 6, 7]
    for record in found:
        assert (record.n, record.labels, record.held_out, record.data.source) == (9, True, False, str(photos))
        assert (record.how.terms, record.how.seed, record.how.clip, record.how.variance) == (2, 4, False, "large")
        assert record.notes == (f"12 images of {photos} were resized to 8 × 8 (stretch)",)
    out = capsys.readouterr().out
    assert f"images        9 of 12 images of {photos}, conditioned on their classes" in out
    assert "variational bound, 7 steps, 2 of 6 KL terms per image, large variance" in out
    assert "resized to 8 × 8 (stretch)" in out


def test_along_the_ode(cli: Cli, run: Path, capsys: Capture) -> None:
    assert cli("likelihood", run, *CPU, "--method", "ode", "-n", "4", "--tolerance", "0.1", "--probes", "3") == 0
    [record] = records(run)
    assert not list(run.glob("likelihood/*/bits.png"))
    out = capsys.readouterr().out
    assert f"{record.mean:.4f} ± {record.stderr:.4f}, probability-flow ODE" in out
    assert f"{record.calls:.0f} evaluations per batch, 3 probes, tolerance 0.1, from level 1" in out


def test_a_log_hears_of_long_ones(cli: Cli, run: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "QUIET", 0.0)
    assert cli("likelihood", run, *CPU, "-n", "20", "--steps", "4") == 0
    assert re.findall(r"images +(\d+) %, .* left\n", capsys.readouterr().out) == ["25", "50", "75", "100"]


def test_the_defaults_that_help_names(capsys: Capture, cli: Cli) -> None:
    assert cli("likelihood", "--help") == 0
    text = " ".join(re.sub(r"[│╭╰─╮╯]", " ", capsys.readouterr().out).split())
    assert f"measure; {evaluation.N:,} by default" in text
    assert f"1 to {evaluation.SHARD}; {evaluation.SHARD} by default" in text


def test_without_matplotlib(cli: Cli, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ddpm.cli.scores.find_spec", lambda name: None)
    assert cli("likelihood", run, *CPU, "-n", "4", "--steps", "2") == 0
    assert len(records(run)) == 1
    assert not list(run.glob("likelihood/*/bits.png"))

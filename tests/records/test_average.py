"""Averages of any length from a run's folder, opened wherever a checkpoint is."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ddpm.config.run import RunConfig
from ddpm.records.average import average
from ddpm.records.run_folder import RunFolder
from refusal import refuses


@pytest.fixture
def run(digits_run: Path, tmp_path: Path) -> RunFolder:
    shutil.copytree(digits_run, tmp_path / "run")
    return RunFolder(tmp_path / "run")


def vector(folder: RunFolder) -> torch.Tensor:
    weights = folder.weights()
    return torch.cat([weights[name].flatten() for name in sorted(weights)])


def test_the_commands_output_is_sampled(
    run: RunFolder, cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli("average", run.path, "--length", "0.15") == 0
    written = run.averages / "length-0.15"
    assert f"next: ddpm sample {written} -n 16" in capsys.readouterr().out
    assert cli("sample", written, "-n", "1", "--label", "3", "--steps", "2") == 0
    assert {path.parent.name[:12] for path in (run.path / "samples").rglob("*.png")} == {"length-0.15-"}


def test_the_longer_the_average_the_farther_from_the_last_weights(run: RunFolder) -> None:
    """Also on the way between the weights of the first step and those of the last."""
    lengths = (0.04, 0.08, 0.12, 0.16)
    made = [vector(RunFolder.open(average(run, length))) for length in lengths]
    assert all(a.shape == vector(run).shape for a in made)
    apart = [float((a - made[0]).norm()) for a in made]
    assert apart == sorted(apart)
    # 12 steps: an exponential average of them lies about as far back as one of length 0.09
    assert float((vector(run) - made[1]).norm() / made[1].norm()) < 0.01


def test_refusals(run: RunFolder) -> None:
    for length in (0.01, 0.5, float("nan")):
        with refuses("invalid", f"length {length:g}"):
            average(run, length)
    last = max(run.averages.glob("step-*"))
    last.write_bytes(last.read_bytes()[:100])
    with refuses("unreadable", str(run.averages)):
        average(run, 0.1)
    shutil.rmtree(run.averages)
    with refuses("missing", "training.averages"):
        average(run, 0.1)


def test_a_checkpoint_has_none(run: RunFolder, cli: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    newest = max(run.checkpoints.iterdir())
    assert cli("average", newest, "--length", "0.1") == 2
    assert str(newest) in capsys.readouterr().err
    assert RunConfig.read(run.config_file).training.averages == 16

"""A consistency student, from the command to its images."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ddpm
from ddpm.config.run import RunConfig
from ddpm.engine.loading import load
from ddpm.planning import budget
from ddpm.tasks.generate import sample
from flags import TINY
from refusal import refuses
from stopping import digests, losses, stopped_at

Cli = Callable[..., int]
SMALL = (
    *("--method", "consistency", "--tuning", "0.5", "--guidance", "1-3"),
    *("--images", "96", "--batch", "16", "--precision", "fp32"),
)
"""Three steps of each stage."""


@pytest.fixture(scope="module")
def student(cli: Cli, digits_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In one or two steps, of a range of guidance; for reading only."""
    out = tmp_path_factory.mktemp("runs") / "fast"
    assert cli("distill", digits_run, "--out", out, *SMALL) == 0
    return out


def test_one_student_for_one_and_two_steps(
    cli: Cli, digits_run: Path, student: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is not told their number, draws fresh noise between them, and edits."""
    config, run = RunConfig.read(student / "config.json"), load(student, "cpu")
    assert config.conditions == ("label", "guidance")
    assert (config.sampling.solver.name, config.sampling.steps) == ("consistency", 2)
    drawn = {steps: np.asarray(sample(run, 1, label="3", steps=steps)[0]) for steps in (1, 2)}
    assert not np.array_equal(drawn[1], drawn[2])
    with refuses("conflict", str(digits_run)):
        sample(run, 1, steps=4)
    assert cli("sample", student, "-n", "2", "--label", "3", "--guidance", "2", "--out", tmp_path / "two") == 0
    said = capsys.readouterr().out
    assert f"1-2-step consistency student of {digits_run}, guidance 1-3" in said
    assert "consistency, 2 steps" in said
    picture = tmp_path / "two" / "00000.png"
    assert cli("edit", student, picture, "--strength", "0.4", "--label", "5", "--out", tmp_path / "edited") == 0
    assert cli("sample", "--from", picture, "--out", tmp_path / "again") == 0
    assert (tmp_path / "again" / "00000-again.png").read_bytes() == picture.read_bytes()


def test_it_resumes_in_both_stages_bit_for_bit(cli: Cli, digits_run: Path, student: Path, tmp_path: Path) -> None:
    """And between them."""
    out = tmp_path / "fast"
    for step in (1, 3, 5):
        with stopped_at(step):
            assert cli("distill", digits_run, "--out", out, *SMALL) == 75
    assert cli("distill", digits_run, "--out", out, *SMALL) == 0
    assert digests(out, 6) == digests(student, 6)
    assert losses(out) == losses(student)


def test_a_time_is_turned_into_images_by_the_speed_of_both_stages(
    cli: Cli, digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of steps of 32 images that take 1 and 3 s, in the plan and as measured by a dry run."""

    def seconds(trainer: Any, *_: object) -> float:
        return 1.0 if trainer.objective.second.steps[0] else 3.0

    monkeypatch.setattr(budget, "seconds_a_step", seconds)
    how = ("--method", "consistency", "--tuning", "0.5", "--for", "10m", "--dry-run")
    assert cli("distill", digits_run, "--out", tmp_path / "fast", *how) == 0
    assert capsys.readouterr().out.count(" 16 images/s") == 2


@pytest.mark.parametrize(("options", "code"), [({"tuning": 1.5}, "invalid"), ({"method": "trajectory"}, "conflict")])
def test_refused_tuning(digits_run: Path, tmp_path: Path, options: dict[str, object], code: str) -> None:
    with refuses(code, "tuning"):
        ddpm.distill(
            digits_run, out=tmp_path / "fast", device="cpu", **{"method": "consistency", "tuning": 0.5, **options}
        )


def test_a_run_that_predicts_noise_has_no_end_at_pure_noise(cli: Cli, tmp_path: Path) -> None:
    tiny = ("--images", "16", "--batch", "16", *TINY)
    assert cli("train", "digits", "--out", tmp_path / "eps", *tiny, "--schedule", "linear", "--prediction", "eps") == 0
    with refuses("incompatible", "eps"):
        ddpm.distill(tmp_path / "eps", out=tmp_path / "fast", method="consistency", device="cpu")

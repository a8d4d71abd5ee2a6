"""The settings of a student."""

from pathlib import Path

import pytest
from accelerate import Accelerator

from ddpm import build
from ddpm.engine.loading import load
from ddpm.metrics.memorisation import Thumbnail
from ddpm.planning import budget
from ddpm.planning.student import make


def test_scores_take_their_time_from_training(
    digits_run: Path,
    tmp_path: Path,
    accelerator: Accelerator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of 576 s, at 10 steps a second: 20 scores of 256 samples in 4 steps, of which 3 cost as much as an image."""
    monkeypatch.setattr(build, "build_features", lambda *_: Thumbnail())
    monkeypatch.setattr(budget, "seconds_a_step", lambda *_: 0.1)
    monkeypatch.setattr(budget.time, "monotonic", lambda: 0.0)
    teacher = load(digits_run, "cpu")
    for asked, images in (({}, 0.0), ({"during_training": True}, 20 * 256 * 4 / 3)):
        made = make(teacher, tmp_path, {"for": "10m", **asked}, accelerator, began=0.0)
        assert made.config.training.steps == int(5760 - images / 32)
        assert capsys.readouterr().out == "measuring speed …\n"

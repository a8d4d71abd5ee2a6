"""Plots of a run whose grid lies off the ticks, and of several runs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddpm.report import plots
from ddpm.report.canvas import to_bytes
from ddpm.report.page import render
from ddpm.report.reading import read

from .conftest import Evaluate
from .scores import make_score

Sampled = Callable[..., Path]


@pytest.fixture
def sampled(run: Path) -> Sampled:
    """The run, sampled in another way of its own."""

    def change(**how: Any) -> Path:
        path = run / "config.json"
        tree = json.loads(path.read_text(encoding="utf-8"))
        tree["sampling"] |= how
        path.write_text(json.dumps(tree), encoding="utf-8")
        return run

    return change


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"grid": "karras", "steps": 7}, "7 steps, karras grid"),
        ({"grid": "beta", "steps": 7}, "7 steps, beta grid"),
        ({"grid": [1000, 400, 99.5], "steps": 3}, "3 steps, 1000,400,99.5 grid"),
    ],
)
@pytest.mark.usefixtures("undrawn")
def test_the_levels_of_a_run(how: dict[str, Any], words: str, sampled: Sampled) -> None:
    run = sampled(**how)
    fig = plots.schedule([str(run)])
    for ax in fig.axes:
        (rug,) = (line for line in ax.lines if line.get_label() == f"{how['steps']} steps")
        places = np.asarray(rug.get_xdata())
        assert len(places) == how["steps"] + 1
        assert (places[0], places[-1]) == pytest.approx((1000, 0), abs=1e-9)
        assert (np.diff(places) < 0).all()
        if isinstance(how["grid"], list):
            assert places == pytest.approx([*how["grid"], 0], abs=1e-9)
    assert to_bytes(fig, "png").startswith(b"\x89PNG")
    assert words in render(read(run))


def test_quality_of_several_runs(run: Path, student: Path, evaluate: Evaluate, weights: str) -> None:
    for steps in (5, 10):
        evaluate(f"{steps} steps", make_score(weights, steps=steps))
    evaluate("early", make_score("early", images=64))
    (ax,) = plots.calls([student]).axes
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["run: unipc-2", "64 real images"]
    (ax,) = plots.minutes([run, student]).axes
    assert ax.get_xlabel() == "minutes of training"

import json
from pathlib import Path

import numpy as np
import pytest

from ddpm.report.canvas import Draw, figure
from ddpm.report.quality import best, by_steps, by_training
from ddpm.report.reading import Run, read

from .conftest import Evaluate
from .scores import make_score


def drawn(draw: Draw | None) -> dict[str, list[tuple[float, float]]]:
    """Label of the legend -> points."""
    assert draw is not None
    (ax,) = figure(draw).axes
    handles, labels = ax.get_legend_handles_labels()
    lines = [handle.lines[0] if hasattr(handle, "lines") else handle for handle in handles]
    points = [np.column_stack([line.get_xdata(), line.get_ydata()]).tolist() for line in lines]
    return {label: [(x, y) for x, y in some] for label, some in zip(labels, points, strict=True)}


def logged(run: Path, *scores: dict[str, object]) -> Run:
    with (run / "log.jsonl").open("a") as log:
        for score in scores:
            log.write(json.dumps({"kind": "score", "step": 1, **score}) + "\n")
    return read(run)


def test_nothing_to_show(run: Path, evaluate: Evaluate) -> None:
    evaluate("only", make_score("w"))
    found = read(run)
    like = found.evaluations[0]
    for headline in (None, like):
        assert by_steps(found, headline) is None
        assert by_training(found, headline) is None
        assert best(found, headline) is None


def test_ways_of_sampling_are_named(run: Path, evaluate: Evaluate) -> None:
    for steps, distance in ((5, 30.0), (10, 12.0)):
        score = make_score("w", distance, steps=steps)
        evaluate(f"{steps}", score)
        evaluate(f"guided {steps}", make_score("w", distance - 1, steps=steps, guidance=2.0, eta=0.5, clip=False))
        plain = score.samples.model_copy(update={"labels": None})
        evaluate(f"plain {steps}", score.model_copy(update={"samples": plain}))
    found = read(run)
    assert drawn(by_steps(found, found.evaluations[0])) == {
        "unipc-2, power grid, guidance 1": [(5, 30), (10, 12)],
        "ddim, power grid, guidance 2, unclipped, eta 0.5": [(5, 29), (10, 11)],
        "unipc-2, power grid, guidance 1, labels none": [(5, 30), (10, 12)],
    }


def test_scores_of_the_log_and_evaluations_are_lines_of_their_own(run: Path, evaluate: Evaluate) -> None:
    evaluate("early", make_score("e", 40.0, images=64))
    evaluate("late", make_score("w", 20.0, images=128))
    found = logged(
        run,
        {"images": 64, "frechet": 50.0, "n": 32, "best": True},
        {"images": 96, "frechet": 30.0, "n": 32, "best": True},
        {"images": 128, "frechet": 35.0, "n": 32, "best": False},
        {"images": 160, "frechet": float("nan"), "n": 32, "best": True},
        {"images": 192, "frechet": 9.0, "n": 2048},
        {"images": 192},
    )
    assert drawn(by_training(found, found.evaluations[0])) == {
        "unipc-2, 10 steps, power grid, guidance 1": [(64, 40), (128, 20)],
        "during training, 32 samples": [(64, 50), (96, 30), (128, 35)],
        "during training, 2,048 samples": [(192, 9)],
        "best": [(96, 30)],
    }


def test_stages_that_were_sampled_otherwise_than_the_headline_are_shown_too(run: Path, evaluate: Evaluate) -> None:
    evaluate("headline", make_score("w", 20.0, images=128))
    for name, images, frechet in (("early", 64, 40.0), ("late", 128, 30.0)):
        evaluate(name, make_score(name, frechet, images=images, steps=7))
    found = logged(run)
    assert drawn(by_training(found, found.evaluations[0])) == {
        "unipc-2, 7 steps, power grid, guidance 1": [(64, 40), (128, 30)],
        "best": [(128, 30)],
    }


@pytest.mark.parametrize("marked", [False, True])
def test_the_best_is_what_the_run_marked_or_else_the_nearest(marked: bool, run: Path, evaluate: Evaluate) -> None:
    evaluate("early", make_score("e", 20.0, images=64))
    evaluate("late", make_score("w", 40.0, images=128))
    found = logged(run, *[{"images": 128, "frechet": 50.0, "n": 32, "best": True}] * marked)
    assert best(found, found.evaluations[0]) == ((128, 50.0) if marked else (64, 20.0))

"""Which evaluations are shown, and as which lines."""

import json
from pathlib import Path

import numpy as np

from ddpm.config.guidance import GuidanceConfig
from ddpm.metrics.estimate import Estimate
from ddpm.records.guidance import Average
from ddpm.records.score import Score
from ddpm.report.canvas import Draw, figure
from ddpm.report.quality import LENGTH, best, by_guidance, by_steps, by_training, headline
from ddpm.report.reading import Run, read
from ddpm.report.tables import settings

from .conftest import Evaluate
from .scores import MEASURE, make_score, searched


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


def test_the_headline_is_of_the_runs_own_weights_and_usual_settings(
    run: Path, evaluate: Evaluate, weights: str
) -> None:
    assert headline(read(run)) is None
    own = read(run).config.sampling

    def usual(weights: str) -> Score:
        score = make_score(weights)
        return score.model_copy(update={"samples": score.samples.model_copy(update={"sampling": own})})

    for name, score, chosen in (
        ("checkpoint", make_score("early"), "checkpoint"),
        ("other steps", make_score(weights, steps=50), "other steps"),
        ("usual", usual(weights), "usual"),
        ("few steps", make_score(weights, steps=5), "usual"),
        ("later checkpoint", usual("late"), "usual"),
        ("again", usual(weights), "again"),
    ):
        evaluate(name, score)
        assert headline(read(run)) == chosen


def test_nothing_to_show(run: Path, evaluate: Evaluate) -> None:
    evaluate("only", make_score("w"))
    found = read(run)
    for like in (None, found.evaluations["only"]):
        assert (by_steps(found, like), by_training(found, like), best(found, like)) == (None, None, None)


def test_a_line_for_each_way_of_sampling(run: Path, evaluate: Evaluate) -> None:
    """Of the same measure and weights; the latest counts, and a way that took one number of steps is left out."""
    for steps, distance in ((10, 13.0), (5, 30.0), (10, 12.0)):
        score = make_score("w", distance, steps=steps)
        evaluate(f"{steps} {distance}", score)
        guided = make_score("w", distance - 1, steps=steps, guidance=2.0, eta=0.5, clip=False)
        evaluate(f"guided {steps} {distance}", guided)
        plain = score.samples.model_copy(update={"labels": None})
        evaluate(f"plain {steps} {distance}", score.model_copy(update={"samples": plain}))
    evaluate("alone", make_score("w", steps=9, solver="ancestral"))
    evaluate("other weights", make_score("v", steps=7))
    evaluate("other measure", make_score("w", steps=7, measure=MEASURE.model_copy(update={"n": 9})))
    found = read(run)
    assert drawn(by_steps(found, score)) == {
        "unipc-2, trailing grid, guidance 1": [(5, 30), (10, 12)],
        "ddim, trailing grid, guidance 2, unclipped, eta 0.5": [(5, 29), (10, 11)],
        "unipc-2, trailing grid, guidance 1, labels none": [(5, 30), (10, 12)],
    }


def test_scores_of_the_log_and_evaluations_are_lines_of_their_own(run: Path, evaluate: Evaluate) -> None:
    """The best is what the run marked, or else the nearest of the evaluations."""
    for name, frechet, images in (("late", 20.0, 128), ("early", 40.0, 64)):
        evaluate(name, make_score(name, frechet, images=images))
    evaluate("other steps", make_score("b", images=96, steps=4))
    like = read(run).evaluations["late"]
    evaluated = {"unipc-2, 10 steps, trailing grid, guidance 1": [(64, 40), (128, 20)]}
    assert drawn(by_training(read(run), like)) == {**evaluated, "best": [(128, 20)]}
    assert best(read(run), like) == (128, 20)
    found = logged(
        run,
        {"images": 64, "frechet": 50.0, "n": 32, "best": True},
        {"images": 96, "frechet": 30.0, "n": 32, "best": True},
        {"images": 128, "frechet": 35.0, "n": 32, "best": False},
        {"images": 160, "frechet": float("nan"), "n": 32, "best": True},
        {"images": 192, "frechet": 9.0, "n": 2048},
        {"images": 192},
    )
    assert drawn(by_training(found, like)) == {
        **evaluated,
        "during training, 32 samples": [(64, 50), (96, 30), (128, 35)],
        "during training, 2,048 samples": [(192, 9)],
        "best": [(96, 30)],
    }


def test_stages_that_were_sampled_otherwise_than_the_headline_are_shown_too(run: Path, evaluate: Evaluate) -> None:
    evaluate("headline", make_score("w", 20.0, images=128))
    for name, images, frechet in (("early", 64, 40.0), ("late", 128, 30.0)):
        evaluate(name, make_score(name, frechet, images=images, steps=7))
    found = read(run)
    assert drawn(by_training(found, found.evaluations["headline"])) == {
        "unipc-2, 7 steps, trailing grid, guidance 1": [(64, 40), (128, 30)],
        "best": [(128, 30)],
    }


def test_the_search_for_guidance(run: Path, weights: str) -> None:
    """A line for each interval, the choice, and the least recall; the default settings follow the choice."""
    own = read(run).sampling
    assert by_guidance(read(run).guidance) == {}
    narrow = GuidanceConfig(scale=2.0, interval=(0.0, 5.0))
    scales = [(GuidanceConfig(scale=1.5), 9.0, 0.5), (None, 8.0, 0.6), (narrow, 4.0, 0.55)]
    found = searched(weights, own, scales)
    found.write(read(run).files.guidance_file)
    distance, recall = by_guidance(read(run).guidance).values()
    assert drawn(distance) == {"at all noise": [(1, 8), (1.5, 9)], "r below 5": [(2, 4)], "chosen": [(2, 4)]}
    lines = drawn(recall)
    assert lines["chosen"] == [(2, 0.55)]
    assert [y for _, y in lines["least allowed"]] == [0.47, 0.47]
    assert read(run).sampling == own.model_copy(update={"guidance": narrow})
    ((_, shown),) = [row for row in settings(read(run))["sampling"][1] if row[0] == "guidance"]
    assert shown == "scale 2, interval 0, 5"
    found.model_copy(update={"weights": "others"}).write(read(run).files.guidance_file)
    assert read(run).sampling == own
    read(run).files.guidance_file.write_text("{")
    assert read(run).guidance is None


def test_the_lengths_of_the_average(run: Path, weights: str) -> None:
    """With the intervals of their difference from the run's own weights; the chosen one is marked."""
    found = searched(weights, read(run).sampling, [(None, 9.0, 0.5)])
    assert LENGTH not in by_guidance(found)
    zero = Estimate(value=0.0, low=0.0, high=0.0)
    own = found.first.model_copy(update={"change": zero})
    others = [
        own.model_copy(
            update={"length": length, "change": Estimate(value=change, low=change - 0.5, high=change + 0.25)}
        )
        for length, change in ((0.15, -1.0), (0.04, 2.0))
    ]
    compared = found.model_copy(update={"lengths": (own, *others)})
    points = {"paired 95 % interval": [(0.04, 11), (0.15, 8)], "the run's own weights": [(0, 9), (1, 9)]}
    assert drawn(by_guidance(compared)[LENGTH]) == points
    chosen = compared.model_copy(update={"average": Average(length=0.15, weights="v")})
    draw = by_guidance(chosen)[LENGTH]
    assert drawn(draw) == points | {"chosen": [(0.15, 8)]}
    (bars,) = figure(draw).axes[0].containers
    ends = [segment[:, 1].tolist() for segment in bars.lines[2][0].get_segments()]
    assert ends == [[10.5, 11.25], [7.5, 8.25]]

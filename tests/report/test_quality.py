"""The evaluation at the top of the page, and the search for guidance."""

from pathlib import Path

from ddpm.config.guidance import GuidanceConfig
from ddpm.metrics.estimate import Estimate
from ddpm.records.guidance import Average
from ddpm.records.score import Score
from ddpm.report.canvas import figure
from ddpm.report.quality import LENGTH, by_guidance, headline
from ddpm.report.reading import read
from ddpm.report.tables import settings

from .conftest import Evaluate
from .lines import drawn
from .scores import make_score, searched


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

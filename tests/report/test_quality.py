"""The evaluation at the top of the page, and the search for guidance."""

from pathlib import Path

from ddpm.config.guidance import GuidanceConfig
from ddpm.records.score import Score
from ddpm.report.quality import by_guidance, headline
from ddpm.report.reading import read

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
    found.model_copy(update={"weights": "others"}).write(read(run).files.guidance_file)
    assert read(run).sampling == own
    read(run).files.guidance_file.write_text("{")
    assert read(run).guidance is None

"""The headline numbers of a page, with their intervals and meanings."""

from typing import NamedTuple

from ddpm.metrics.estimate import Estimate
from ddpm.records.score import Score
from ddpm.report.numbers import measured, percent

MEANINGS = {
    "frechet": ("Fréchet distance", "between the features of samples and real images", "lower is better"),
    "kid": ("Kernel distance", "KID on the same features, about 0 for equal distributions", "lower is better"),
    "precision": ("Precision", "share of samples that lie among real images", "higher is better"),
    "recall": ("Recall", "share of real images that lie among samples", "higher is better"),
    "density": ("Density", "how densely real images surround samples", "1 for equal distributions"),
    "coverage": ("Coverage", "share of real images with a sample nearby", "higher is better"),
    "inception_score": ("Inception score", "how clear and how varied the classes of samples are", "higher is better"),
}
SHARES = {"precision", "recall", "coverage"}


class Tile(NamedTuple):
    """A number that the page shows at the top.

    Attributes:
        interval: its 95 % interval in words, or "".
        meaning, better: what it measures, and which direction is better.
        beside: what to compare it with, or "".
    """

    name: str
    value: str
    interval: str
    meaning: str
    better: str
    beside: str = ""


def tiles(score: Score) -> list[Tile]:
    """Build the tiles of a score, distances first."""
    made = [_metric(key, value, score) for key, value in score.headline().items()]
    if score.memorisation is not None:
        made.append(_copies(score))
    if score.accuracy is not None:
        right = score.accuracy
        meaning = "share of samples classified as the requested class"
        beside = f"real images: {percent(right.real)}"
        made.append(Tile("Accuracy", percent(right.value), "", meaning, "higher is better", beside))
    return made


def spread(interval: Estimate, share: bool = False) -> str:
    """Format an interval."""
    say = percent if share else measured
    return f"{say(interval.low)} to {say(interval.high)}"


def _metric(key: str, value: Estimate, score: Score) -> Tile:
    name, meaning, better = MEANINGS[key]
    say = percent if key in SHARES else measured
    beside = ""
    if key == "frechet" and score.frechet.floor is not None:
        beside = f"real images: {measured(score.frechet.floor)}"
    return Tile(name, say(value.value), spread(value, key in SHARES), meaning, better, beside)


def _copies(score: Score) -> Tile:
    assert score.memorisation is not None
    rate, held_out = score.memorisation.rate, score.memorisation.held_out
    beside = f"held-out images: {percent(held_out.value)}" if held_out else ""
    meaning = "share of samples that are copies of training images"
    return Tile("Copies", percent(rate.value), spread(rate, share=True), meaning, "lower is better", beside)

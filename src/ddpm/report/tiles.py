"""The headline: each number with its interval, what it means and which way is better."""

from typing import NamedTuple

from ddpm.metrics.estimate import Estimate
from ddpm.records.score import Score
from ddpm.report.numbers import measured, percent

MEANINGS = {
    "frechet": ("Fréchet distance", "between the features of samples and of real images", "less is better"),
    "kid": ("Kernel distance", "KID, of the same features; about 0 for the same distribution", "less is better"),
    "precision": ("Precision", "share of samples that lie among real images", "more is better"),
    "recall": ("Recall", "share of real images that lie among samples", "more is better"),
    "density": ("Density", "how thickly real images lie around samples", "1 for the same distribution"),
    "coverage": ("Coverage", "share of real images with a sample beside them", "more is better"),
    "inception_score": ("Inception score", "clear classes, and many of them", "more is better"),
}
SHARES = {"precision", "recall", "coverage"}


class Tile(NamedTuple):
    """One number.

    Attributes:
        interval: its 95 % interval in words, or "".
        meaning, better: what it says, and which way is good.
        beside: what to compare it with, or "".
    """

    name: str
    value: str
    interval: str
    meaning: str
    better: str
    beside: str = ""


def tiles(score: Score) -> list[Tile]:
    """All numbers of a score, distances first."""
    made = [_metric(key, value, score) for key, value in score.headline().items()]
    if score.memorisation is not None:
        made.append(_copies(score))
    if score.accuracy is not None:
        right = score.accuracy
        meaning = "share of samples that a classifier reads as the class asked for"
        beside = f"real images: {percent(right.real)}"
        made.append(Tile("Accuracy", percent(right.value), "", meaning, "more is better", beside))
    return made


def spread(interval: Estimate, share: bool = False) -> str:
    """An interval in words."""
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
    beside = f"images held out: {percent(held_out.value)}" if held_out else ""
    meaning = "share of samples that are copies of training images"
    return Tile("Copies", percent(rate.value), spread(rate, share=True), meaning, "less is better", beside)

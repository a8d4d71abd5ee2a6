"""The headline numbers of a page, with their intervals and meanings."""

from ddpm.records.score import Score
from ddpm.report.numbers import measured, percent, spread

MEANINGS = {
    "frechet": ("Fréchet distance", "between the features of samples and real images; lower is better"),
    "kid": ("Kernel distance", "KID on the same features, about 0 for equal distributions; lower is better"),
    "precision": ("Precision", "share of samples that lie among real images; higher is better"),
    "recall": ("Recall", "share of real images that lie among samples; higher is better"),
    "density": ("Density", "how densely real images surround samples; 1 for equal distributions"),
    "coverage": ("Coverage", "share of real images with a sample nearby; higher is better"),
    "inception_score": ("Inception score", "how clear and how varied the classes of samples are; higher is better"),
}
SHARES = {"precision", "recall", "coverage"}

Tile = tuple[str, str, str, str, str]
"""Name, value, its 95 % interval or "", what to compare it with or "", and its meaning."""


def tiles(score: Score) -> list[Tile]:
    """Build the tiles of a score, distances first."""
    made: list[Tile] = []
    for key, value in score.headline().items():
        name, meaning = MEANINGS[key]
        share, floor = key in SHARES, score.frechet.floor if key == "frechet" else None
        beside = "" if floor is None else f"real images: {measured(floor)}"
        made.append((name, (percent if share else measured)(value.value), spread(value, share), beside, meaning))
    if copies := score.memorisation:
        beside = f"held-out images: {percent(copies.held_out.value)}" if copies.held_out else ""
        meaning = "share of samples that are copies of training images; lower is better"
        made.append(("Copies", percent(copies.rate.value), spread(copies.rate, share=True), beside, meaning))
    if right := score.accuracy:
        meaning = "share of samples classified as the requested class; higher is better"
        made.append(("Accuracy", percent(right.value), "", f"real images: {percent(right.real)}", meaning))
    return made

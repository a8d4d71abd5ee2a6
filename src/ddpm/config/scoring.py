"""Scores while a run trains: how often, and what they may cost."""

from collections.abc import Container
from dataclasses import dataclass, replace

POINTS = 20
"""Scores of a run that is long enough for them."""
FEWEST = 64
"""Samples of a score in the shortest runs."""
CALLS = 3
"""Network calls that take as long as training on one image."""
MARGIN = 0.9
"""Part of the share that is planned with, as this is a rough count."""


@dataclass(frozen=True)
class ScoringSettings:
    """When and on what a run is scored; its weights do not depend on it.

    Attributes:
        every: images between scores; the last is at the run's end.
        samples: drawn for a score.
        steps: of the solver that draws them.
        share: largest share of the time of training that scores may take.
    """

    every: int
    samples: int = 256
    steps: int = 16
    share: float = 0.05

    def __post_init__(self) -> None:
        for name, least in (("every", 1), ("samples", 10), ("steps", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, not {getattr(self, name)}")
        if not 0 < self.share <= 1:
            raise ValueError(f"share must be above 0 and at most 1, not {self.share}")

    def points(self, images: int, batch: int) -> int:
        """Scores of a run on so many images, if time is left for all."""
        return 1 + max(0, images - batch) // self.every

    def cost(self, images: int, batch: int) -> float:
        """What these scores take, in images that could be trained on in that time."""
        return self.points(images, batch) * self.samples * self.steps / CALLS


def planned(asked: ScoringSettings, images: int, batch: int, given: Container[str]) -> ScoringSettings:
    """Settings for a run on so many images: 20 scores; in short runs on fewer samples, then fewer, to meet the share.

    Args:
        given: fields of ``asked`` that stay as they are.
    """
    drawn = MARGIN * asked.share * images * CALLS / asked.steps  # samples of all scores
    fitted = asked
    if "samples" not in given:
        points = asked.points(images, batch) if "every" in given else POINTS
        fitted = replace(fitted, samples=max(min(FEWEST, asked.samples), min(asked.samples, int(drawn / points))))
    if "every" not in given:
        points = max(1, min(POINTS, int(drawn / fitted.samples)))
        fitted = replace(fitted, every=max(batch, images // points))
    return fitted

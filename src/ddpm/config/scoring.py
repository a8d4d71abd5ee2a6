"""Evaluation during training: how often, and at what cost."""

from collections.abc import Container
from dataclasses import dataclass, replace

POINTS = 20
"""The number of scores in a run that is long enough."""
FEWEST = 64
"""The number of samples per score in the shortest runs."""
CALLS = 3
"""The number of network calls that take as long as training on one image."""
MARGIN = 0.9
"""The proportion of the share to plan with, as the cost is a rough estimate."""


@dataclass(frozen=True)
class ScoringSettings:
    """When and on how many samples to evaluate a run; its weights do not depend on it.

    Attributes:
        every: The training images between scores; the last score is at the end of the run.
        samples: The number of samples per score.
        steps: The solver steps for each sample.
        share: The largest proportion of the training time to spend on scores.
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
        """The number of scores in a run on this many images, if time permits."""
        return 1 + max(0, images - batch) // self.every

    def cost(self, images: int, batch: int) -> float:
        """The cost of the scores, in images that could be trained on in the same time."""
        return self.points(images, batch) * self._each

    def overhead(self, images: int, batch: int) -> float:
        """The cost of the scores for which time permits, of which the last is always measured."""
        return min(max(self.share * images, self._each), self.cost(images, batch))

    @property
    def _each(self) -> float:
        return self.samples * self.steps / CALLS


def planned(asked: ScoringSettings, images: int, batch: int, given: Container[str]) -> ScoringSettings:
    """Settings for a run on this many images: 20 scores; short runs reduce samples, then scores, to keep the share.

    The fields of ``asked`` that were given stay.
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

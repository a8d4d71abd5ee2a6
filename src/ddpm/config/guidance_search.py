"""The search for guidance at the end of training: how many samples, and at what cost."""

from dataclasses import dataclass, replace
from typing import Self

from ddpm.config.scoring import CALLS, MARGIN

MOST, FEWEST = 512, 64
"""The number of samples per trial in a run that is long enough, and in the shortest that is searched."""
STEPS = 10
"""Solver steps of a sample: half of the default."""
TRIALS = 10
"""About the cost of a search, in trials that call the network twice per step."""


@dataclass(frozen=True)
class GuidanceSearchSettings:
    """On how many samples to search for the guidance of a finished run; its weights do not depend on it.

    Attributes:
        samples: The number of samples per trial.
        steps: The solver steps for each sample.
        share: About the largest proportion of the training time to spend.
    """

    samples: int = MOST
    steps: int = STEPS
    share: float = 0.1

    def __post_init__(self) -> None:
        for name, least in (("samples", 10), ("steps", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, not {getattr(self, name)}")
        if not 0 < self.share <= 1:
            raise ValueError(f"share must be above 0 and at most 1, not {self.share}")

    @property
    def cost(self) -> float:
        """The cost of the search, in images that could be trained on in the same time."""
        return self.samples * self.steps * 2 * TRIALS / CALLS

    def within(self, images: int, at_least: int = 0) -> Self | None:
        """These settings with as many samples as a run on this many images can afford; None if these are too few.

        Args:
            at_least: samples to take in any case.
        """
        samples = int(MARGIN * self.share * images * CALLS / (self.steps * 2 * TRIALS))
        samples = max(at_least, min(self.samples, samples))
        return replace(self, samples=samples) if samples >= FEWEST else None

"""The search for guidance at the end of training: how many samples, and at what cost."""

from collections.abc import Container
from dataclasses import dataclass, replace
from typing import Self

from ddpm.config.scoring import CALLS, MARGIN
from ddpm.config.training import LONGEST, SHORTEST

MOST, FEWEST = 512, 64
"""The number of samples per trial in a run that is long enough, and in the shortest that is searched."""
STEPS = 10
"""Solver steps of a sample: half of the default."""
BY_LABELS, AWAY = 10, 5
"""About the cost of a search by labels, and away from an early version, in trials that call the network twice per
step."""
LENGTHS = (0.04, 0.07, 0.1, 0.15, 0.2)
"""The lengths of the averages to compare."""
ENOUGH = 256
"""The number of samples per trial above which time is spent on these: averages differ less than guidance."""


@dataclass(frozen=True)
class GuidanceSearchSettings:
    """On how many samples to search for the guidance of a finished run; its weights do not depend on it.

    Attributes:
        samples: The number of samples per trial.
        steps: The solver steps for each sample.
        share: About the largest proportion of the training time to spend.
        lengths: The lengths of the averages of the weights to compare with the run's own; none in short runs.
    """

    samples: int = MOST
    steps: int = STEPS
    share: float = 0.1
    lengths: tuple[float, ...] = LENGTHS

    def __post_init__(self) -> None:
        for name, least in (("samples", 10), ("steps", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, not {getattr(self, name)}")
        if not 0 < self.share <= 1:
            raise ValueError(f"share must be above 0 and at most 1, not {self.share}")
        if not all(SHORTEST <= length <= LONGEST for length in self.lengths):
            raise ValueError(f"lengths must be between {SHORTEST:g} and {LONGEST:g}, not {self.lengths}")

    def cost(self, labels: bool) -> float:
        """The cost of the search, in images that could be trained on in the same time.

        Args:
            labels: whether there are labels to guide by.
        """
        return self.samples * self._drawn(labels)

    def planned(self, images: int, labels: bool, given: Container[str], at_least: int = 0) -> Self | None:
        """These settings as far as a run on this many images can afford them; None if it affords too few samples.

        With few samples, all are spent on guidance, and lengths are not compared.

        Args:
            given: the fields that stay.
            at_least: samples to take in any case.
        """
        budget, wanted = MARGIN * self.share * images, self.samples if "samples" in given else ENOUGH
        affordable = "lengths" in given or wanted * self._drawn(labels) <= budget
        asked = self if affordable else replace(self, lengths=())
        if "samples" in given:
            return asked
        samples = max(at_least, min(self.samples, int(budget / asked._drawn(labels))))
        return replace(asked, samples=samples) if samples >= FEWEST else None

    def _drawn(self, labels: bool) -> float:
        """The cost of one sample in every trial."""
        trials = AWAY + len(self.lengths) + (BY_LABELS if labels else 0)
        return trials * self.steps * 2 / CALLS

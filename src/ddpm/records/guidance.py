"""The record of a search for guidance, kept next to the weights."""

from collections.abc import Sequence
from typing import ClassVar

from ddpm.config.guidance import GuidanceConfig
from ddpm.config.sampling import SamplingConfig
from ddpm.metrics.estimate import Estimate
from ddpm.records.score import FeaturesRecord, ReferenceRecord
from ddpm.system.record import Record, Strict

RECALL_LOSS = 0.03
"""The largest accepted loss of recall, compared with the guidance that the search started from."""


class GuidanceTrial(Strict):
    """One setting of guidance and its measured samples.

    Attributes:
        guidance: None for none.
        length: the length of the average of the weights; None for the run's own weights.
        frechet: Fréchet distance to the real images.
        change: its difference from the first trial's; the interval is paired, because both drew the same noise and
            labels.
        precision, recall, coverage: see :func:`ddpm.metrics.manifold.estimate`.
        seconds: the time to draw and to measure the samples.
    """

    guidance: GuidanceConfig | None
    length: float | None = None
    frechet: Estimate
    change: Estimate
    precision: Estimate
    recall: Estimate
    coverage: Estimate
    seconds: float

    def rank(self, first: "GuidanceTrial") -> tuple[bool, float]:
        """A key that sorts better trials first: those that keep the first one's recall, then by Fréchet distance."""
        return not self.keeps_recall(first), self.frechet.value

    def keeps_recall(self, first: "GuidanceTrial") -> bool:
        """Whether the recall is at most ``RECALL_LOSS`` below that of the first trial."""
        return self.recall.value >= first.recall.value - RECALL_LOSS


class Average(Strict):
    """An average of a run's weights, in its folder ``averages/length-…``.

    Attributes:
        length: see :mod:`ddpm.training.power_average`.
        weights: the hash of the averaged weights.
    """

    length: float
    weights: str


class GuidanceRecord(Record):
    """``guidance.json``.

    Attributes:
        weights: hash of the run's own weights.
        n: samples per trial, with the class proportions of the real images.
        seed: sample i depends on it and i alone, in every trial.
        sampling: the settings of the first trial, which the others share except for guidance.
        trials: in the order of the search, the run's own guidance first.
        chosen: the guidance of the best trial; None for none.
        lengths: trials of other averages of the weights with this guidance; the first uses the run's own weights.
        average: the average that is used instead of the run's own weights, if one is better.
    """

    WRITER: ClassVar[str] = "ddpm tune --guidance"
    weights: str
    n: int
    seed: int
    sampling: SamplingConfig
    features: FeaturesRecord
    reference: ReferenceRecord
    trials: tuple[GuidanceTrial, ...]
    chosen: GuidanceConfig | None
    lengths: tuple[GuidanceTrial, ...] = ()
    average: Average | None = None

    def suits(self, weights: str | None) -> bool:
        """Whether the search used weights with this hash, or chose them."""
        return weights == self.weights or (self.average is not None and weights == self.average.weights)

    @property
    def first(self) -> GuidanceTrial:
        """The trial of the run's own guidance."""
        return self.trials[0]

    @property
    def best(self) -> GuidanceTrial:
        """The trial that was chosen."""
        return best(self.trials)

    @property
    def away(self) -> bool:
        """Whether the choice guides away from an earlier version of the run, which works without labels too."""
        return self.chosen is not None and self.chosen.guide is not None

    @property
    def line(self) -> str:
        """The choice and its figures in one line."""
        a, b = self.first, self.best
        gained = f"Fréchet distance {b.frechet.value:.3g} instead of {a.frechet.value:.3g} at {words(a.guidance)}, "
        kept = f"recall {b.recall.value:.2f} instead of {a.recall.value:.2f}"
        if b is a:
            gained, kept = f"kept: Fréchet distance {a.frechet.value:.3g}, ", f"recall {a.recall.value:.2f}"
        return f"guidance {words(b.guidance)}: {gained}{kept}{self._averaged}; from {self.n:,} samples"

    @property
    def _averaged(self) -> str:
        """The average that was chosen, and its figure."""
        if not self.lengths:
            return ""
        own, chosen = self.lengths[0].frechet.value, best(self.lengths)
        if chosen.length is None:
            return "; average of the weights kept"
        return f"; average of length {chosen.length:g}: {chosen.frechet.value:.3g} instead of {own:.3g}"


def best(trials: Sequence[GuidanceTrial]) -> GuidanceTrial:
    """The trial with the lowest Fréchet distance, of the first and those that keep its recall and are surely better.

    These have a paired 95 % interval of their change below 0, so noise alone does not replace the run's own guidance.
    """
    first, *others = trials
    better = [trial for trial in others if trial.keeps_recall(first) and trial.change.high < 0]
    return min([first, *better], key=lambda trial: trial.frechet.value)


def scale_of(guidance: GuidanceConfig | None) -> float:
    """The guidance scale; 1 for none."""
    return 1.0 if guidance is None else guidance.scale


def kind_of(guidance: GuidanceConfig | None) -> str:
    """The model to guide away from and the noise interval, where they differ from the default."""
    return "" if guidance is None else guidance.kind


def words(guidance: GuidanceConfig | None) -> str:
    """Guidance in a few words: "3.4, r below 5"."""
    return "1" if guidance is None else guidance.words

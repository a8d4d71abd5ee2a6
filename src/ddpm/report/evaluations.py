"""Read a run's evaluations, and choose which to show."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ddpm.config.sampling import SamplingConfig
from ddpm.records.score import FILE, Measurement, Score
from ddpm.system.errors import InputError


@dataclass(frozen=True)
class Evaluation:
    """A folder that `ddpm evaluate` wrote.

    Attributes:
        written: modification time of its score in nanoseconds: later ones replace earlier ones with the same settings.
    """

    folder: Path
    score: Score
    written: int

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def curve(self) -> tuple[Measurement, SamplingConfig | None, str | None]:
        """A key that evaluations share if they differ only in their weights."""
        return self.score.measure, self.score.samples.sampling, self.score.samples.labels

    @property
    def sweep(self) -> tuple[Measurement, str | None, SamplingConfig | None, str | None]:
        """A key that evaluations share if they differ only in their number of steps."""
        s = self.score.samples
        return self.score.measure, s.weights, s.sampling and s.sampling.model_copy(update={"steps": 1}), s.labels


def evaluations(folder: Path) -> tuple[Evaluation, ...]:
    """Read all below a run's "evaluations", oldest first, without those that another version wrote."""
    found = []
    for path in folder.glob(f"*/{FILE}"):
        try:
            found.append(Evaluation(path.parent, Score.read(path), path.stat().st_mtime_ns))
        except InputError:
            continue
    return tuple(sorted(found, key=lambda e: (e.written, e.name)))


def headline(found: Iterable[Evaluation], weights: str | None, usual: SamplingConfig) -> Evaluation | None:
    """Choose the evaluation at the top of the page: preferably of the run's own weights, then with its default
    settings, then the newest."""
    return max(
        found,
        key=lambda e: (
            e.score.samples.weights == weights,
            e.score.samples.sampling == usual,
            e.written,
            e.name,
        ),
        default=None,
    )


def by_steps(found: Iterable[Evaluation], like: Evaluation) -> list[dict[int, Evaluation]]:
    """Group evaluations of the same measure and weights by way of sampling: steps -> evaluation, ascending.

    Ways with a single number of steps are left out.
    """
    ways: dict[object, dict[int, Evaluation]] = {}
    for e in found:
        s = e.score.samples
        if s.sampling and e.score.measure == like.score.measure and s.weights == like.score.samples.weights:
            ways.setdefault(repr(e.sweep), {})[s.sampling.steps] = e
    return [dict(sorted(way.items())) for way in ways.values() if len(way) > 1]


def by_training(found: Iterable[Evaluation], like: Evaluation) -> dict[int, Evaluation]:
    """Select evaluations of one measure and way of sampling at different stages: images seen -> evaluation, ascending.

    That way is the one of ``like``, or else the one with most stages.
    """
    ways: dict[str, dict[int, Evaluation]] = {}
    for e in found:
        if e.score.samples.images_seen and e.score.measure == like.score.measure:
            ways.setdefault(repr(e.curve), {})[e.score.samples.images_seen] = e
    curves = {curve: stages for curve, stages in ways.items() if len(stages) > 1}
    chosen = max(curves, key=lambda curve: (curve == repr(like.curve), len(curves[curve])), default=None)
    return dict(sorted(curves[chosen].items())) if chosen is not None else {}

"""Which of a run's evaluations say what."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ddpm.config.sampling import SamplingConfig
from ddpm.records.score import FILE, Measurement, Score
from ddpm.system.errors import InputError


@dataclass(frozen=True)
class Evaluation:
    """One folder that `ddpm evaluate` wrote.

    Attributes:
        written: when its score was, in nanoseconds: later ones stand for earlier ones of the same.
    """

    folder: Path
    score: Score
    written: int

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def curve(self) -> tuple[Measurement, SamplingConfig | None, str | None]:
        """What evaluations share that differ in their weights alone."""
        return self.score.measure, self.score.samples.sampling, self.score.samples.labels

    @property
    def sweep(self) -> tuple[Measurement, str | None, SamplingConfig | None, str | None]:
        """What evaluations share that differ in their number of steps alone."""
        s = self.score.samples
        return self.score.measure, s.weights, s.sampling and s.sampling.model_copy(update={"steps": 1}), s.labels


def evaluations(folder: Path) -> tuple[Evaluation, ...]:
    """All below a run's "evaluations", the oldest first; without those that another version wrote."""
    found = []
    for path in folder.glob(f"*/{FILE}"):
        try:
            found.append(Evaluation(path.parent, Score.read(path), path.stat().st_mtime_ns))
        except InputError:
            continue
    return tuple(sorted(found, key=lambda e: (e.written, e.name)))


def headline(found: Iterable[Evaluation], weights: str | None, usual: SamplingConfig) -> Evaluation | None:
    """The evaluation that speaks for the run: of its own weights if there is one, and then by its usual settings; the
    newest of those."""
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
    """Evaluations of the same measure and weights: steps -> evaluation, rising, for each way of sampling.

    A way that was tried with one number of steps only is left out.
    """
    ways: dict[object, dict[int, Evaluation]] = {}
    for e in found:
        s = e.score.samples
        if s.sampling and e.score.measure == like.score.measure and s.weights == like.score.samples.weights:
            ways.setdefault(repr(e.sweep), {})[s.sampling.steps] = e
    return [dict(sorted(way.items())) for way in ways.values() if len(way) > 1]


def by_training(found: Iterable[Evaluation], like: Evaluation) -> dict[int, Evaluation]:
    """Evaluations of the same measure at different stages, all sampled in one way: images seen -> evaluation, rising.

    That way is the one of ``like``, or else the one that most stages were sampled in.
    """
    ways: dict[str, dict[int, Evaluation]] = {}
    for e in found:
        if e.score.samples.images_seen and e.score.measure == like.score.measure:
            ways.setdefault(repr(e.curve), {})[e.score.samples.images_seen] = e
    curves = {curve: stages for curve, stages in ways.items() if len(stages) > 1}
    chosen = max(curves, key=lambda curve: (curve == repr(like.curve), len(curves[curve])), default=None)
    return dict(sorted(curves[chosen].items())) if chosen is not None else {}

"""The runs that a page compares, and their Fréchet distances."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self

from ddpm.config.options import typed
from ddpm.config.sampling import SamplingConfig
from ddpm.metrics.estimate import Estimate
from ddpm.records.run_folder import RunFolder
from ddpm.records.score import FeaturesRecord, ReferenceRecord, Score
from ddpm.records.sweep import FrechetBasis
from ddpm.report.charts import Floor
from ddpm.report.reading import Run, read
from ddpm.system.errors import InputError
from ddpm.system.names import Mode


@dataclass(frozen=True)
class Basis:
    """How a Fréchet distance was measured: only distances with the same basis can be compared.

    Attributes:
        features, reference: hashes.
        names: the same two, for readers.
        real: the distance of the same number of real images; None if unknown.
    """

    n: int
    features: str
    reference: str
    size: tuple[int, int]
    mode: Mode
    names: tuple[FeaturesRecord, ReferenceRecord] = field(compare=False)
    real: float | None = field(compare=False)

    @classmethod
    def of(cls, score: Score) -> Self:
        """The basis of an evaluation."""
        m = score.measure
        names = m.features, m.reference
        return cls(m.n, m.features.hash, m.reference.hash, m.size, m.mode, names, score.frechet.floor)

    @classmethod
    def of_sweep(cls, run: Run, quality: FrechetBasis) -> Self:
        """The basis of a sweep, which compares images of the run's own size and mode."""
        q, data = quality, run.config.data
        names = q.features, q.reference
        return cls(q.n, q.features.hash, q.reference.hash, data.size, data.mode, names, q.floor)

    @property
    def floor(self) -> Floor:
        """The distance of the same number of real images, for a chart."""
        return Floor(self.n, self.real)

    @property
    def words(self) -> str:
        """The basis in words: "500 samples compared with 1,797 images of digits, embedded features"."""
        features, reference = self.names
        return (
            f"{self.n:,} samples compared with {reference.images:,} images of {reference.source}, "
            f"{features.name} features"
        )

    def flags(self, run: Run) -> list[str]:
        """The flags with which `ddpm evaluate` measures a run like this."""
        features, reference = self.names
        data = None if reference.source == run.config.data.source else reference.source
        named = None if features.name == "embedded" else features.name
        return ["-n", str(self.n), *typed({"data": data, "features": named})]


@dataclass(frozen=True)
class Distance:
    """The Fréchet distance of a run's samples, by an evaluation or a sweep.

    Attributes:
        images: images that the weights were trained on; None for a sweep.
        seconds: training time up to these weights; None if unknown.
    """

    basis: Basis
    weights: str | None
    sampling: SamplingConfig
    labelled: bool
    frechet: Estimate
    images: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, eq=False)
class Subject:
    """A run on a chart.

    Attributes:
        name: unique among the runs of the page.
        weights: hash of the weights to show; None before the run's first checkpoint.
    """

    run: Run
    name: str
    weights: str | None

    @property
    def student(self) -> bool:
        return self.run.config.distillation is not None

    def taught_by(self, subjects: Iterable["Subject"]) -> bool:
        """Whether the teacher of a student, with the weights that taught, is one of these."""
        taught = self.run.config.distillation
        return taught is not None and any(taught.weights == one.weights for one in subjects if not one.student)

    @property
    def plain(self) -> bool:
        """Whether the run samples images in any number of steps: neither a student nor super-resolution."""
        return not self.student and self.run.config.upscaling is None

    @cached_property
    def distances(self) -> list[Distance]:
        """All Fréchet distances of the run, of any weights: those of sweeps first, then evaluations, oldest first."""
        found = []
        for record in self.run.sweeps:
            for cell in record.cells if record.quality else ():
                if cell.frechet is not None and record.quality is not None:
                    own = self.run.config
                    basis, labelled = Basis.of_sweep(self.run, record.quality), bool(own.data.classes or own.text)
                    found.append(Distance(basis, record.weights, cell.sampling, labelled, cell.frechet))
        for score in self.run.evaluations.values():
            s = score.samples
            if s.sampling is not None:
                trained = s.images_seen, s.seconds
                labelled = s.labels is not None or s.prompts is not None
                found.append(Distance(Basis.of(score), s.weights, s.sampling, labelled, score.frechet, *trained))
        return found

    @property
    def own(self) -> list[Distance]:
        """The distances of the weights to show."""
        return [found for found in self.distances if found.weights == self.weights]

    @property
    def tuned(self) -> list[SamplingConfig]:
        """The settings that `ddpm tune` found for the weights."""
        record = self.run.tuned
        return [grid.sampling for grid in record.grids] if record and record.weights == self.weights else []

    def is_taught(self, how: SamplingConfig) -> bool:
        """Whether these are the settings that a student was distilled for, at any precision."""
        return self.student and how.model_copy(update={"precision": None}) == self.run.config.sampling

    def is_tuned(self, how: SamplingConfig) -> bool:
        """Whether `ddpm tune` found these settings, which then apply at any precision."""
        return how.model_copy(update={"precision": None}) in self.tuned


def subjects(runs: Sequence[Run]) -> list[Subject]:
    """The runs, then the teachers of students among them whose folders can be read, with the weights that taught."""
    found = {run.folder.resolve(): (run, run.weights) for run in runs}
    for run in runs:
        taught, teacher = run.config.distillation, teacher_of(run)
        if taught is not None and teacher is not None:
            found.setdefault(teacher.folder.resolve(), (teacher, taught.weights))
    names = [run.name for run, _ in found.values()]
    return [
        Subject(run, run.name if names.count(run.name) == 1 else str(run.folder), weights)
        for run, weights in found.values()
    ]


def teacher_of(run: Run) -> Run | None:
    """The teacher of a student, by its path from here or from a folder above the student; None if it is not found."""
    taught = run.config.distillation
    if taught is None:
        return None
    for above in (Path(), *run.folder.absolute().parents):
        with suppress(InputError):
            return read(RunFolder.open(above / taught.teacher).path)
    return None


def shared(kept: Iterable[Sequence[Distance]], like: Basis | None) -> Basis | None:
    """Choose a basis for a chart: the one of most runs, then ``like``, then the one of most distances, if any.

    Args:
        kept: the distances of each run.
    """
    bases = [[found.basis for found in one] for one in kept]

    def rank(basis: Basis) -> tuple[int, bool, int]:
        return sum(basis in one for one in bases), basis == like, sum(one.count(basis) for one in bases)

    return max((basis for one in bases for basis in one), key=rank, default=None)

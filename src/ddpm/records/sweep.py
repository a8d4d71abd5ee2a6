"""What a sweep found: each way of sampling with what it costs and how good it is."""

from typing import ClassVar

from ddpm.config.sampling import SamplingConfig
from ddpm.metrics.estimate import Estimate
from ddpm.records.score import FeaturesRecord, ReferenceRecord
from ddpm.system.record import Record, Strict

FILE = "sweep.json"


class Cell(Strict):
    """One way of sampling.

    Attributes:
        evaluations: network calls for one image; guidance, which asks twice, is not counted double.
        distance: of the images shown from the many-step solution at the same noise, the root mean square over an image,
            averaged over the images, in units of [-1, 1]; None for a solver that draws noise.
        frechet: Fréchet distance from the real images; None where it was not measured.
    """

    sampling: SamplingConfig
    evaluations: int
    distance: float | None = None
    frechet: Estimate | None = None


class FrechetBasis(Strict):
    """How the Fréchet distances were measured.

    Attributes:
        n: samples of each; their classes are in the shares of the real images.
        floor: what as many real images score; None where there are too few.
    """

    n: int
    features: FeaturesRecord
    reference: ReferenceRecord
    floor: float | None


class SweepRecord(Record):
    """``sweep.json``.

    Attributes:
        run: as it was given.
        weights: hash of them.
        seed: image i is a function of it and i, in every cell.
        n: images shown.
        labels: their classes; empty for none.
        solutions: the many-step solution for each guidance.
        cells: by guidance, then solver and grid, then steps.
        quality: None where no Fréchet distance was measured.
        notes: what a reader should know.
    """

    WRITER: ClassVar[str] = "ddpm sweep"
    made_by: str
    run: str
    weights: str
    seed: int
    n: int
    labels: tuple[str, ...]
    solutions: tuple[SamplingConfig, ...]
    cells: tuple[Cell, ...]
    quality: FrechetBasis | None
    notes: tuple[str, ...] = ()

    def by_guidance(self) -> dict[float, list[Cell]]:
        """The cells of each guidance scale."""
        scales = dict.fromkeys(cell.sampling.guidance_scale for cell in self.cells)
        return {scale: [cell for cell in self.cells if cell.sampling.guidance_scale == scale] for scale in scales}


def way(how: SamplingConfig) -> tuple[str, str]:
    """What a line of a chart, and a row of a sheet, have in common beside guidance: solver and grid."""
    return how.solver.name, how.visits

"""The record of a sweep: the cost and quality of each combination of sampling settings."""

from typing import ClassVar

from ddpm.config.sampling import SamplingConfig
from ddpm.metrics.estimate import Estimate
from ddpm.records.score import FeaturesRecord, ReferenceRecord
from ddpm.system.record import Record, Strict

FILE = "sweep.json"


class Cell(Strict):
    """One combination of sampling settings.

    Attributes:
        evaluations: network evaluations per image; the second one of guidance is not counted.
        distance: root mean square distance of a shown image from the many-step solution for the same noise, averaged
            over the images, in units of [-1, 1]; None for a stochastic solver.
        frechet: Fréchet distance to the real images; None if not measured.
    """

    sampling: SamplingConfig
    evaluations: int
    distance: float | None = None
    frechet: Estimate | None = None


class FrechetBasis(Strict):
    """How the Fréchet distances were measured.

    Attributes:
        n: samples per combination, with the class proportions of the real images.
        floor: the distance of the same number of real images to the others; None if there are too few.
    """

    n: int
    features: FeaturesRecord
    reference: ReferenceRecord
    floor: float | None


class SweepRecord(Record):
    """``sweep.json``.

    Attributes:
        run: the run, as given.
        weights: hash of the weights.
        seed: image i depends on it and i alone, in every cell.
        n: the number of images shown.
        labels: the classes of these images; empty without labels.
        prompts: their prompts; empty without prompts.
        solutions: the settings of the many-step solution for each guidance scale.
        cells: ordered by guidance, then solver and grid, then steps.
        quality: None if no Fréchet distance was measured.
        notes: caveats on the sweep.
    """

    WRITER: ClassVar[str] = "ddpm sweep"
    made_by: str
    run: str
    weights: str
    seed: int
    n: int
    labels: tuple[str, ...]
    prompts: tuple[str, ...] = ()
    solutions: tuple[SamplingConfig, ...]
    cells: tuple[Cell, ...]
    quality: FrechetBasis | None
    notes: tuple[str, ...] = ()

    def by_guidance(self) -> dict[float, list[Cell]]:
        """The cells of each guidance scale."""
        scales = dict.fromkeys(cell.sampling.guidance_scale for cell in self.cells)
        return {scale: [cell for cell in self.cells if cell.sampling.guidance_scale == scale] for scale in scales}


def way(how: SamplingConfig) -> tuple[str, str]:
    """Solver and grid, which identify a line of a chart or a row of a sheet together with guidance."""
    return how.solver.name, how.visits

"""The record of tuning, kept next to the weights."""

from typing import ClassVar

from ddpm.config.sampling import SamplingConfig
from ddpm.system.record import Record, Strict


class TunedGrid(Strict):
    """The best solver and grid for a number of steps.

    Attributes:
        sampling: the solver, the grid as a list of timesteps, and the settings it was tuned for.
        start: the solver and grid that tuning started from.
        usual: error of the run's default settings with the same number of steps.
        untuned: error of the best named solver and grid.
        tuned: error of this grid, which equals the untuned one if tuning did not help. Errors are root mean square
            distances of an image from its many-step solution, on noise not tuned on, averaged over the images, in units
            of [-1, 1].
    """

    sampling: SamplingConfig
    start: str
    usual: float
    untuned: float
    tuned: float


class TunedRecord(Record):
    """``tuned.json``.

    Attributes:
        weights: hash of the weights.
        images: the number of images tuned on; the same number of others was used to measure the errors.
        seed: of the images' noise.
        reference: the settings of the many-step solution.
        grids: the best found, for each number of steps.
    """

    WRITER: ClassVar[str] = "ddpm tune"
    weights: str
    images: int
    seed: int
    reference: SamplingConfig
    grids: tuple[TunedGrid, ...]

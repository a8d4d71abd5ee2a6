"""What tuning found, kept beside the weights that it is of."""

from typing import ClassVar

from ddpm.config.sampling import SamplingConfig
from ddpm.system.record import Record, Strict


class TunedGrid(Strict):
    """The best way found in so many steps.

    Attributes:
        sampling: the solver, the grid as a list of timesteps, and the settings that it is made for.
        start: solver and grid that it was made from.
        usual: error of what the run does in as many steps without tuning …
        untuned: of the best solver and grid that have names …
        tuned: and of this one, which is the one before it where moving its levels has not helped. Errors are the root
            mean square distance of an image from its many-step solution, on noise that the grid was not made on,
            averaged over the images, in units of [-1, 1].
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
        images: that the grids were made on, and as many more that the errors are of.
        seed: of their noise.
        reference: the many-step solution.
        grids: one for each number of steps.
    """

    WRITER: ClassVar[str] = "ddpm tune"
    weights: str
    images: int
    seed: int
    reference: SamplingConfig
    grids: tuple[TunedGrid, ...]

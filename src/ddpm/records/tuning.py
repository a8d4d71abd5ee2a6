"""What tuning found, kept beside the weights that it is of."""

from pathlib import Path
from typing import Literal, Self

from pydantic import ValidationError

from ddpm.config.sampling import SamplingConfig
from ddpm.system.errors import InputError
from ddpm.system.record import Strict

FILE = "tuned.json"


class TunedGrid(Strict):
    """The best way found in so many steps.

    Attributes:
        sampling: the solver, the grid as a list of places, and the settings that it is made for.
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


class TunedRecord(Strict):
    """``tuned.json``.

    Attributes:
        weights: hash of the weights.
        images: that the grids were made on, and as many more that the errors are of.
        seed: of their noise.
        reference: the many-step solution.
        grids: one for each number of steps.
    """

    format: Literal[2] = 2
    weights: str
    images: int
    seed: int
    reference: SamplingConfig
    grids: tuple[TunedGrid, ...]

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """That of a run folder, or None where there is none.

        Raises:
            InputError: a file that is something else.
        """
        path = folder / FILE
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (ValidationError, OSError) as e:
            raise InputError(f"{path} is not what `ddpm tune` of this version writes; delete it, and tune again") from e

    def to_json(self) -> str:
        """As it is written."""
        return self.model_dump_json(indent=2) + "\n"

"""The origin of a distilled student."""

from typing import Annotated, Self

from pydantic import model_validator

from ddpm.config.grid import Timesteps
from ddpm.config.guidance import GuidanceConfig
from ddpm.config.sampling import SamplingConfig
from ddpm.system.names import DistillationName
from ddpm.system.record import Strict, bounds


class DistillationConfig(Strict):
    """The teacher of a student, and the trajectory that the student follows in few steps.

    Attributes:
        teacher: The run or checkpoint, as given.
        method: How it is taught: by the teacher's trajectory, in stages that each halve the steps, or as a consistency
            model.
        follows: The run folder of the stage before, whose student is the teacher of this stage; None for the teacher.
        weights: The hash of the averaged weights of the one that is followed.
        sampling: The teacher's settings. Its grid lists the student's timesteps, and more between them.
        learned: The guidance that an earlier stage has learned.
        grids: The student's own timesteps for each number of steps, fewest first, if it is conditioned on the number.
        visits: The same timesteps of a consistency student, which is not conditioned on the number.
        guidance: The lowest and highest guidance scale that it learned; None for the one of ``sampling``.
        tuning: The fraction of training that is consistency tuning, of a consistency student.
        seed: The seed of the noise.
    """

    teacher: str
    weights: str
    method: DistillationName = "trajectory"
    follows: str | None = None
    sampling: SamplingConfig
    learned: GuidanceConfig | None = None
    grids: tuple[Timesteps, ...] = ()
    visits: tuple[Timesteps, ...] = ()
    guidance: tuple[Annotated[float, bounds(0)], Annotated[float, bounds(0)]] | None = None
    tuning: Annotated[float, bounds(0, 1)] = 0.0
    seed: int = 0

    @property
    def guided(self) -> str:
        """The guidance that the student learned, ", guidance 1.15, r below 2" or ", guidance 1-5"; empty for none."""
        guidance = self.sampling.guidance or self.learned
        if guidance is None:
            return ""
        if self.guidance is None:
            return f", guidance {guidance.words}"
        low, high = self.guidance
        return ", ".join(part for part in (f", guidance {low:g}-{high:g}", guidance.kind) if part)

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if self.guidance is not None and not self.guidance[0] < self.guidance[1]:
            raise ValueError(f"guidance must be two scales, the lower one first, not {self.guidance}")
        return self

    def passes(self, grid: str | Timesteps) -> bool:
        """Whether the teacher passes all timesteps of a student's grid, starting with the first."""
        own = self.sampling.grid
        return not isinstance(grid, str) and not isinstance(own, str) and own[0] == grid[0] and {*grid} <= {*own}

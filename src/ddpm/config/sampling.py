"""How samples are drawn."""

from typing import Any, Literal, Self, get_args

from pydantic import model_validator

from ddpm.config.grid import GridSetting, TickGridName, places
from ddpm.config.strict import Strict
from ddpm.sampling.grid.listed import listing

SolverName = Literal[
    "ddim",
    "ancestral",
    "ancestral-small",
    "ancestral-large",
    "euler",
    "euler-ancestral",
    "heun",
    "edm",
    "dpm-solver-1",
    "dpm-solver-2",
    "dpm-solver-3",
    "dpm++-1s",
    "dpm++-2s",
    "langevin",
    "adaptive",
    "dpm++-2m",
    "dpm++-3m",
    "sde-dpm++-2m",
    "sde-dpm++-3m",
    "unipc-1",
    "unipc-2",
    "unipc-3",
    "unipc-1-bh1",
    "unipc-2-bh1",
    "unipc-3-bh1",
    "deis-1",
    "deis-2",
    "deis-3",
    "ipndm-1",
    "ipndm-2",
    "ipndm-3",
    "ipndm-4",
]


class SamplingConfig(Strict):
    """How samples are drawn unless asked otherwise.

    Attributes:
        solver, steps: how the reverse process is solved.
        grid: a name, or the places to visit, noisiest first, which are as many as steps; also as a text, "1000,700,99".
        eta: DDIM's share of fresh noise.
        guidance: scale of classifier-free guidance; 1 for none.
        clip: whether the expected image is kept in the range of images.
    """

    solver: SolverName = "ddim"
    steps: int = 50
    grid: GridSetting = "trailing"
    eta: float | None = None
    guidance: float = 1.0
    clip: bool = True

    @model_validator(mode="before")
    @classmethod
    def _steps_of_places(cls, given: Any) -> Any:
        if isinstance(given, dict) and "steps" not in given and (listed := places(given.get("grid"))):
            return {**given, "steps": len(listed)}
        return given

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, not {self.steps}")
        if not isinstance(self.grid, str) and self.steps != len(self.grid):
            raise ValueError(
                f"steps is {self.steps}, and the grid lists {len(self.grid)} places; leave steps out, or list as many"
            )
        if self.eta is not None and self.solver != "ddim":
            raise ValueError(f"eta is an option of ddim, not of {self.solver}")
        if self.eta is not None and not 0 <= self.eta <= 1:
            raise ValueError(f"eta must be between 0 (deterministic) and 1 (ancestral), not {self.eta}")
        if self.guidance < 0:
            raise ValueError(f"guidance must be at least 0, not {self.guidance}")
        return self

    @property
    def visits(self) -> str:
        """The grid as it is typed."""
        return self.grid if isinstance(self.grid, str) else listing(self.grid)

    @property
    def on_ticks(self) -> bool:
        """Whether the grid takes at most as many steps as a schedule has noisy ticks."""
        return self.grid in get_args(TickGridName)

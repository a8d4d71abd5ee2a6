"""How the reverse process is solved: solvers, each with the options that it has."""

from typing import Annotated, Self, get_args

from pydantic import Field, model_validator

from ddpm.config.options import Flag
from ddpm.system.names import (
    AdaptiveSolverName,
    ChurnSolverName,
    EtaSolverName,
    NoisySolverName,
    PlainSolverName,
    SolverName,
)
from ddpm.system.record import Strict, bounds
from ddpm.system.tree import Short

Temperature = Annotated[
    float | None,
    bounds(0),
    Flag("Of solvers that draw fresh noise: its scale; below 1 smoother and less various."),
]


class NoisySolver(Strict):
    """A solver that draws fresh noise in each step.

    Attributes:
        temperature: scale of that noise; 1 if None.
    """

    name: NoisySolverName
    temperature: Temperature = None


class EtaSolver(Strict):
    """A solver with a share of fresh noise.

    Attributes:
        eta: the share, from 0 (deterministic) to 1 (ancestral); the solver's own if None.
        temperature: scale of the fresh noise; 1 if None.
    """

    name: EtaSolverName
    eta: Annotated[
        float | None,
        bounds(0, 1),
        Flag(f"Of {' and '.join(get_args(EtaSolverName))}: share of fresh noise, 0 (deterministic) to 1 (ancestral)."),
    ] = None
    temperature: Temperature = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        silent = self.eta == 0 or (self.name == "ddim" and self.eta is None)
        if self.temperature is not None and silent:
            raise ValueError(f"temperature has no effect, as {self.name} draws no noise; give eta above 0")
        return self


class ChurnSolver(Strict):
    """Karras et al. 2022, algorithm 2.

    Attributes:
        churn: noise added on the way, S_churn; 0 if None.
        temperature: scale of the fresh noise; 1 if None.
    """

    name: ChurnSolverName
    churn: Annotated[
        float | None,
        bounds(0),
        Flag(f"Of {' and '.join(get_args(ChurnSolverName))}: noise added on the way; 0 for none."),
    ] = None
    temperature: Temperature = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.temperature is not None and self.churn == 0:
            raise ValueError(f"temperature has no effect, as {self.name} draws no noise; give churn above 0")
        return self


class AdaptiveSolver(Strict):
    """A solver that chooses its steps.

    Attributes:
        tolerance: error allowed in each step; the solver's own if None.
    """

    name: AdaptiveSolverName
    tolerance: Annotated[
        float | None,
        bounds(0, above=True),
        Flag(f"Of {' and '.join(get_args(AdaptiveSolverName))}: the error allowed in each of its steps."),
    ] = None


class PlainSolver(Strict):
    """A solver without options."""

    name: PlainSolverName


SolverConfig = Annotated[
    NoisySolver | EtaSolver | ChurnSolver | AdaptiveSolver | PlainSolver,
    Field(discriminator="name"),
    Short("name"),
    Flag(f"One of {', '.join(get_args(SolverName))}. Like what follows the run's own where not given.", kind=str),
]
"""By its name. Options without a name mean the first solver that has them all."""

"""Solvers of the reverse process, each with its own options; None is the solver's default."""

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
    Flag("Scale of the fresh noise, for solvers that add it; below 1 for smoother, less diverse samples."),
]


class NoisySolver(Strict):
    """A solver that adds fresh noise at each step."""

    name: NoisySolverName
    temperature: Temperature = None


class EtaSolver(Strict):
    """A solver with an adjustable amount of fresh noise."""

    name: EtaSolverName
    eta: Annotated[
        float | None,
        bounds(0, 1),
        Flag(f"Fresh noise of {' and '.join(get_args(EtaSolverName))}, from 0 (deterministic) to 1 (ancestral)."),
    ] = None
    temperature: Temperature = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        silent = self.eta == 0 or (self.name == "ddim" and self.eta is None)
        if self.temperature is not None and silent:
            raise ValueError(f"temperature has no effect, as {self.name} adds no noise; set eta above 0")
        return self


class ChurnSolver(Strict):
    """Karras et al. 2022, algorithm 2."""

    name: ChurnSolverName
    churn: Annotated[
        float | None,
        bounds(0),
        Flag(f"Noise added by {' and '.join(get_args(ChurnSolverName))} at each step, S_churn; 0 for none."),
    ] = None
    temperature: Temperature = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.temperature is not None and self.churn == 0:
            raise ValueError(f"temperature has no effect, as {self.name} adds no noise; set churn above 0")
        return self


class AdaptiveSolver(Strict):
    """A solver that chooses its own steps."""

    name: AdaptiveSolverName
    tolerance: Annotated[
        float | None,
        bounds(0, above=True),
        Flag(f"Error tolerance of each step of {' and '.join(get_args(AdaptiveSolverName))}."),
    ] = None


class PlainSolver(Strict):
    """A solver without options."""

    name: PlainSolverName


SolverConfig = Annotated[
    NoisySolver | EtaSolver | ChurnSolver | AdaptiveSolver | PlainSolver,
    Field(discriminator="name"),
    Short("name"),
    Flag(f"One of {', '.join(get_args(SolverName))}. The options below also default to the run's.", kind=str),
]
"""A solver by name. Options without a name select the first solver that has all of them."""

"""Grids, solvers, noise and the one loop that joins them."""

from ddpm.sampling.ancestral import Ancestral, fixed_large, fixed_small
from ddpm.sampling.ddim import DDIM
from ddpm.sampling.grid import Grid
from ddpm.sampling.loop import Constraint, Step, descents, evaluations, sample, start, steps
from ddpm.sampling.noise import Row, SampleNoise, rows_of
from ddpm.sampling.solver import Between, BoundDenoiser, Randn, Solver, no_noise

__all__ = [
    "DDIM",
    "Ancestral",
    "Between",
    "BoundDenoiser",
    "Constraint",
    "Grid",
    "Randn",
    "Row",
    "SampleNoise",
    "Solver",
    "Step",
    "descents",
    "evaluations",
    "fixed_large",
    "fixed_small",
    "no_noise",
    "rows_of",
    "sample",
    "start",
    "steps",
]

"""Sampling with scaled noise."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ddpm.core import Level
from ddpm.sampling.solver import BoundDenoiser, Randn, Solver


@dataclass(frozen=True, slots=True)
class Tempered:
    """A solver whose fresh noise is scaled: ``z`` becomes ``temperature · z``.

    The start keeps its noise, which the denoiser was trained on. Below 1 samples are smoother and less diverse, above 1
    rougher; at 0 a stochastic solver follows the mean of each of its steps. It generalises EDM's S_noise (Karras et al.
    2022, alg. 2) to every solver that draws noise; Langevin's corrections scale with their noise.

    Attributes:
        temperature: at least 0.
    """

    solver: Solver
    temperature: float

    def evaluations(self, grid: Sequence[Level]) -> int:
        return self.solver.evaluations(grid)

    def init(self, grid: Sequence[Level]) -> Any:
        return self.solver.init(grid)

    def step(
        self, denoise: BoundDenoiser, x: torch.Tensor, now: Level, next: Level, state: Any, randn: Randn
    ) -> tuple[torch.Tensor, Any]:
        return self.solver.step(denoise, x, now, next, state, lambda: self.temperature * randn())

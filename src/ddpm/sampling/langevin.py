"""Predictor-corrector sampling."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from ddpm.core import Level, scale
from ddpm.sampling.ancestral import Ancestral
from ddpm.sampling.solver import BoundDenoiser, Randn, Solver


@dataclass(frozen=True, slots=True)
class Langevin:
    """A solver that follows each step of a predictor with one of Langevin dynamics (Song et al. 2021, alg. 4 and 5).

    ``x + e · score + √(2 e) · z`` with ``e = 2 (snr · |z| / |score|)²``. The norms are each image's own: averaged over
    the batch, as in the original, they would make an image depend on its batch. The original's factor 1 - beta_i for
    variance-preserving processes, at least 0.98, is omitted, as it has no meaning over long steps. The step size of the
    corrector causes a bias, whatever the number of steps: for data ~ N(0, I) the variance is ``1 / (1 - snr²)`` times
    too large. One more call than the predictor for each step but the last.

    Attributes:
        predictor: any solver.
        snr: the size of a corrector's step, the r of the paper.
    """

    predictor: Solver = field(default_factory=Ancestral)
    snr: float = 0.16

    def evaluations(self, grid: Sequence[Level]) -> int:
        return self.predictor.evaluations(grid) + sum(not level.clean for level in grid[1:])

    def init(self, grid: Sequence[Level]) -> Any:
        return self.predictor.init(grid)

    def step(
        self, denoise: BoundDenoiser, x: torch.Tensor, now: Level, next: Level, state: Any, randn: Randn
    ) -> tuple[torch.Tensor, Any]:
        x, state = self.predictor.step(denoise, x, now, next, state, randn)
        if next.clean:
            return x, state
        score, z = (next.alpha * denoise(x, next).x0 - x) / next.sigma**2, randn()
        size = 2 * (self.snr * _norm(z) / _norm(score)) ** 2
        return x + scale(size, score) + scale((2 * size).sqrt(), z), state


def _norm(x: torch.Tensor) -> torch.Tensor:
    """(B,), of each image."""
    return x.flatten(1).square().sum(1).sqrt()

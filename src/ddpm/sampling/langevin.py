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
    """After each step of a predictor, one of Langevin dynamics at the level reached (Song et al. 2021, alg. 4 and 5).

    ``x + e · score + √(2 e) · z`` with ``e = 2 (snr · |z| / |score|)²``. The norms are each image's own: averaged over
    the batch, as in the original, they would make an image depend on its company. Its factor 1 - beta_i of
    variance-preserving processes, at least 0.98, is left out, as it has no meaning over long steps. The corrector is
    biased by its step's length, however many there are: for data ~ N(0, I) the variance comes out ``1 / (1 - snr²)``
    times as large. One call more than the predictor's for each step but the last.

    Attributes:
        predictor: any solver.
        snr: size of a corrector's step, the r of the paper.
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

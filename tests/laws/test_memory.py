"""Sampling takes as much memory in many steps as in few: whatever a solver remembers, it forgets in time."""

from dataclasses import dataclass, field

import torch

from cases import cases
from ddpm.core import Cond, Denoised, Level
from ddpm.sampling import DDIM, Solver, sample

from .every import SOLVERS, between
from .exact import meeting
from .live import Live

SHAPE = (2, 3, 8, 8)
IMAGES = 4 * 2 * 3 * 8 * 8
"""Bytes of a batch."""


def denoise(x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
    return Denoised((x * meeting(level, x).alpha).tanh())


def peak(solver: Solver, steps: int) -> int:
    """Most bytes of tensors at any time."""
    grid = [between(20 * (1 - i / steps) ** 2) for i in range(steps)] + [Level(0.0, 1.0, 0.0)]
    generator = torch.Generator().manual_seed(0)
    with Live() as live:
        sample(denoise, solver, grid, lambda: torch.randn(SHAPE, generator=generator))
    return live.peak


@cases("solver", SOLVERS)
def test_as_much_for_60_steps_as_for_10(solver):
    """To the byte; and it is no more than the points of a history and what a step works on."""
    few = peak(SOLVERS[solver], 10)
    assert few == peak(SOLVERS[solver], 60)
    assert few <= 12 * IMAGES


@dataclass
class Hoards:
    """A solver that forgets nothing."""

    kept: list[torch.Tensor] = field(default_factory=list)

    def init(self, grid):
        return None

    def step(self, denoise, x, now, next, state, randn):
        self.kept.append(x)
        return DDIM().step(denoise, x, now, next, None, randn)


def test_what_is_kept_would_be_seen():
    assert peak(Hoards(), 60) - peak(Hoards(), 10) == 50 * IMAGES


def test_views_count_once_and_what_is_dropped_does_not():
    with Live() as live:
        x = torch.ones(100)
        view = x[::2]
        assert live.peak == 400
        del x
        torch.ones(1)
        assert live.peak == 404
        del view
        torch.ones(50)
        assert live.peak == 404

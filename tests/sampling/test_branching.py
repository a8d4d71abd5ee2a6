"""Solves that begin in the midst of others: the same bits, and no call too many."""

from functools import partial

import pytest
import torch

from cases import cases
from ddpm import build
from ddpm.core import Denoised, Level
from ddpm.core.discrete import linear, zero_terminal_snr
from ddpm.core.schedule import level_of
from ddpm.sampling import Ancestral, steps
from ddpm.sampling.branching import Branching

SCHEDULES = {"linear": linear(1000), "zero-terminal": zero_terminal_snr(linear(1000))}
NOISE = torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(0))
SINGLE = ("ddim", "dpm++-2m", "dpm++-3m", "unipc-1", "unipc-2", "unipc-3", "unipc-2-bh1", "deis-2", "deis-3")
SINGLE += ("ipndm-2", "ipndm-3", "ipndm-4")


class Counting:
    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, x: torch.Tensor, level: Level, cond: object = None) -> Denoised:
        self.asked += 1
        return Denoised((x / level.sigma).tanh() * level.alpha)


def looped(solver, grid):
    *_, last = steps(Counting(), solver, grid, grid[0].sigma * NOISE, lambda: NOISE)
    return last.x


@cases("name", SINGLE)
def test_a_branch_is_the_whole_solve_bit_for_bit(name):
    for schedule in SCHEDULES:
        process = SCHEDULES[schedule]
        solver = build.SOLVERS[name](partial(level_of, process))
        grid = build.GRIDS["trailing"](process, 7)
        x = grid[0].sigma * NOISE
        denoise = Counting()
        branching = Branching(denoise, solver, x, denoise(x, grid[0]))
        denoise.asked = 0
        known = branching(grid)
        assert denoise.asked == 6
        assert torch.equal(known.end, looped(solver, grid))
        for k in range(1, 7):
            level = level_of(process, 0.9 * grid[k].sigma / grid[k].alpha)
            moved = [*grid[:k], level, *grid[k + 1 :]]
            denoise.asked = 0
            branch = branching(moved, known)
            assert denoise.asked == 7 - k
            assert torch.equal(branch.end, looped(solver, moved))
            again = branching(grid, branch)  # and back
            assert torch.equal(again.end, known.end)
            assert len(again.x) == len(again.states) == len(again.answers) + 1 == 8
        denoise.asked = 0
        assert torch.equal(branching(grid, known).end, known.end)
        assert denoise.asked == 0


def test_no_solver_that_draws_noise():
    grid = build.GRIDS["trailing"](SCHEDULES["linear"], 3)
    with pytest.raises(ValueError, match="draws noise"):
        Branching(Counting(), Ancestral(), NOISE, Denoised(NOISE))(grid)

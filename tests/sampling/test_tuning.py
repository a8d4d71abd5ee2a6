"""Levels that are moved: never further from the end than before, and within the calls that were announced."""

import math
from functools import partial
from itertools import pairwise, product

import pytest
import torch

from cases import cases
from ddpm import build
from ddpm.core import Denoised, Level
from ddpm.core.discrete import linear, zero_terminal_snr
from ddpm.core.schedule import level_of
from ddpm.sampling import DDIM, sample
from ddpm.sampling.branching import Branching
from ddpm.sampling.deis import DEIS
from ddpm.sampling.grid import trailing
from ddpm.sampling.ipndm import IPNDM
from ddpm.sampling.shortest import distance
from ddpm.sampling.tuning import Candidate, Round, best, most_calls, screened

SCHEDULES = {"linear": linear(1000), "zero-terminal": zero_terminal_snr(linear(1000))}
NOISE = torch.randn(40, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
SOLVERS = {"ddim": DDIM(), "deis": DEIS(3), "ipndm": IPNDM(3)}
ONE = (Round(1.0, 1, 2),)


class TwoPoints:
    """What is expected of data that is 0.7 or -0.4 in every element, as likely the one as the other."""

    def __init__(self) -> None:
        self.images = 0

    def __call__(self, x: torch.Tensor, level: Level, cond: object = None) -> Denoised:
        self.images += len(x)
        a, b = 0.7, -0.4
        odds = level.alpha * ((a - b) * x - level.alpha * (a**2 - b**2) / 2) / level.sigma**2
        return Denoised(b + (a - b) * torch.sigmoid(odds))


def candidate(denoise, schedule, solver: str, grid: str, steps: int) -> Candidate:
    levels = build.GRIDS[grid](schedule, steps)
    x = levels[0].sigma * NOISE
    answer = TwoPoints()(x, levels[0]).x0

    def first(n: int) -> Branching:
        return Branching(denoise, SOLVERS[solver], x[:n], Denoised(answer[:n]))

    return Candidate(solver, grid, first, levels)


def solved(schedule, solver: str, grid) -> torch.Tensor:
    return sample(TwoPoints(), SOLVERS[solver], grid, lambda: NOISE)


@pytest.fixture(scope="module", params=SCHEDULES)
def problem(request):
    schedule = SCHEDULES[request.param]
    return schedule, solved(schedule, "ddim", trailing(schedule, 500))


@cases(("steps", "share"), [(2, 0.9), (6, 0.6)])
def test_moved_levels_end_nearer(problem, steps, share):
    schedule, end = problem
    one = candidate(TwoPoints(), schedule, "ddim", "trailing", steps)
    found = best([one], end, partial(level_of, schedule), ONE)
    before = distance(solved(schedule, "ddim", one.grid), end)
    assert found.error == distance(solved(schedule, "ddim", found.grid), end)
    assert found.error < share * before
    assert (len(found.grid), found.grid[0], found.grid[-1]) == (steps + 1, one.grid[0], one.grid[-1])
    ratio = [level.sigma / level.alpha if level.alpha else math.inf for level in found.grid]
    assert all(a > b for a, b in pairwise(ratio))


def test_a_single_step_has_nothing_to_move(problem):
    schedule, end = problem
    one = candidate(TwoPoints(), schedule, "ddim", "trailing", 1)
    assert best([one], end, partial(level_of, schedule), ONE).grid == one.grid


def test_a_parabola_has_its_vertex_found():
    """One inner level, whose error is (lambda - 0.3)² in all: one sweep ends at 0.3."""
    schedule = SCHEDULES["linear"]
    grid = [schedule.level(1000), level_of(schedule, math.exp(-0.1)), schedule.level(0)]

    class Square:
        def init(self, grid):
            return ()

        def evaluations(self, grid):
            return len(grid) - 1

        def step(self, denoise, x, now, next, state, randn):
            denoise(x, now)
            if next.clean:
                return torch.full_like(x, (math.log(now.alpha / now.sigma) - 0.3) ** 2), ()
            return x, ()

    one = Candidate("square", "", lambda n: Branching(TwoPoints(), Square(), NOISE[:n], Denoised(NOISE[:n])), grid)
    found = best([one], torch.zeros_like(NOISE), partial(level_of, schedule), (Round(1.0, 1, 1),))
    # level_of interpolates between ticks
    assert math.log(found.grid[1].alpha / found.grid[1].sigma) == pytest.approx(0.3, abs=1e-6)


def test_no_candidate_of_the_last_round_ends_nearer_unmoved(problem):
    """Though levels moved on few images may end further on all of them."""
    schedule, end = problem
    candidates = [candidate(TwoPoints(), schedule, *pair, 4) for pair in product(SOLVERS, ("trailing", "karras"))]
    rounds = (Round(1 / 40, 6, 3), Round(1.0, 6, 0))
    found = best(candidates, end, partial(level_of, schedule), rounds)
    assert found.error == distance(solved(schedule, found.candidate.solver, found.grid), end)
    assert found.error <= min(distance(solved(schedule, one.solver, one.grid), end) for one in candidates)


def test_the_best_unmoved_need_not_be_the_best_moved(problem):
    schedule, end = problem
    good = candidate(TwoPoints(), schedule, "ddim", "trailing", 4)
    before = distance(solved(schedule, "ddim", good.grid), end)

    def stiff(n: int) -> Branching:
        return Branching(lambda *_: Denoised(end[:n] + 0.9 * before), DDIM(), NOISE[:n], Denoised(NOISE[:n]))

    near = Candidate("stiff", "", stiff, good.grid)
    assert screened([good, near], end)[0] is near
    found = best([near, good], end, partial(level_of, schedule), (Round(0.5, 2, 1), Round(1.0, 1, 1)))
    assert found.candidate is good
    assert found.error < 0.9 * before


@cases("steps", [2, 5])
def test_calls_are_at_most_those_announced(problem, steps):
    schedule, end = problem
    denoise = TwoPoints()
    grids = ("trailing", "quadratic", "karras")
    candidates = [candidate(denoise, schedule, *pair, steps) for pair in product(SOLVERS, grids)]
    rounds = (Round(1 / 4, 5, 1), Round(1.0, 2, 2))
    best(screened(candidates, end), end, partial(level_of, schedule), rounds)
    most = most_calls(len(SOLVERS), len(grids), steps, len(NOISE), rounds)
    assert 0.4 * most < denoise.images <= most


def test_two_candidates_of_a_solver_go_on(problem):
    schedule, end = problem
    denoise = TwoPoints()
    candidates = [candidate(denoise, schedule, "ddim", grid, 3) for grid in ("karras", "log-snr", "trailing")]
    best(candidates, end, partial(level_of, schedule), (Round(1.0, 9, 0),))
    assert denoise.images == 2 * 2 * len(NOISE)

"""Adaptive steps: what they promise of the error, and of how often they ask."""

import math

import pytest
import torch
from tests.laws.exact import meeting

from cases import cases
from ddpm.core import Continuous, Denoised, Level
from ddpm.core.continuous import VP, EDMProcess, Flow
from ddpm.core.discrete import linear, zero_terminal_snr
from ddpm.core.schedule import level_of
from ddpm.sampling import steps
from ddpm.sampling.adaptive import Adaptive
from ddpm.sampling.grid import trailing

SCHEDULES = {
    "linear": linear(),
    "zero terminal": zero_terminal_snr(linear()),
    "vp": Continuous(VP()),
    "edm": Continuous(EDMProcess()),
    "flow": Continuous(Flow()),
}
MEAN = torch.linspace(-0.5, 0.5, 8, dtype=torch.float64).reshape(1, 1, 8)
STD = torch.linspace(0.1, 0.8, 8, dtype=torch.float64).reshape(1, 1, 8)
X = torch.randn(4, 1, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


class Perfect:
    """The expected x0 of independent Gaussian numbers; it counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, x, level, cond=None):
        self.calls += 1
        level = meeting(level, x)
        var = level.alpha**2 * STD**2 + level.sigma**2
        return Denoised(MEAN + level.alpha * STD**2 / var * (x - level.alpha * MEAN))


def flow(x: torch.Tensor, now: Level, next: Level) -> torch.Tensor:
    """Where the probability flow of that data leads, exactly."""
    spread = [(level.alpha**2 * STD**2 + level.sigma**2).sqrt() for level in (now, next)]
    return next.alpha * MEAN + spread[1] / spread[0] * (x - now.alpha * MEAN)


def on(schedule, *options) -> Adaptive:
    return Adaptive(lambda rho: level_of(schedule, rho), *options)


@cases("name", SCHEDULES)
def test_the_error_follows_the_tolerance(name):
    """On any process, from pure noise too, in one step as in five: errors of x0 below it, at ever more calls."""
    for count in [1, 5]:
        schedule, calls = SCHEDULES[name], []
        grid = trailing(schedule, count)
        x = grid[0].sigma * X
        end = level_of(schedule, 0.002)
        exact = Perfect()(flow(x, grid[0], end), end).x0
        for tolerance in (1e-2, 1e-3, 1e-4, 1e-5):
            denoise = Perfect()
            *_, last = steps(denoise, on(schedule, tolerance), grid, x, lambda: 1 / 0)
            assert (last.x - exact).square().mean((1, 2)).max().sqrt() < tolerance
            calls.append(denoise.calls)
        assert calls == sorted(set(calls))


@cases("name", SCHEDULES)
def test_its_state_counts_the_calls(name):
    denoise, grid = Perfect(), trailing(SCHEDULES[name], 3)
    for step in steps(denoise, on(SCHEDULES[name]), grid, X, lambda: 1 / 0):
        assert step.state.evaluations == denoise.calls
    assert 12 <= denoise.calls < 100


def test_never_more_than_the_limit():
    """Even of an error that cannot be kept, and it arrives."""
    for limit in [1, 2, 5]:
        schedule, denoise = SCHEDULES["vp"], Perfect()
        grid = trailing(schedule, 2)
        solver = on(schedule, 1e-12, limit)
        *_, last = steps(denoise, solver, grid, X, lambda: 1 / 0)
        assert denoise.calls == 2 * (1 + 3 * limit) == solver.evaluations(grid)
        assert last.x.isfinite().all()


@cases("limit", [3, 100])
@cases("count", [1, 5])
@cases("name", SCHEDULES)
def test_an_image_of_a_batch_is_the_image_alone(name, count, limit):
    """Bit for bit, hard ones and easy ones, also where the limit ends them; the batch asks as the hardest does."""
    schedule = SCHEDULES[name]
    grid, solver = trailing(schedule, count), on(schedule, 1e-3, limit)
    x = grid[0].sigma * X * torch.tensor([0.01, 1, 5, 50], dtype=torch.float64).reshape(-1, 1, 1)
    *_, together = steps(Perfect(), solver, grid, x, lambda: 1 / 0)
    alone = [list(steps(Perfect(), solver, grid, one[None], lambda: 1 / 0))[-1] for one in x]
    assert torch.equal(together.x, torch.cat([last.x for last in alone]))
    assert together.state.angles == tuple(last.state.angles[0] for last in alone)
    calls = [last.state.evaluations for last in alone]
    assert together.state.evaluations >= max(calls)
    if count == 1:
        assert together.state.evaluations == max(calls)
        assert limit < 100 or len(set(calls)) > 1


def test_a_denoiser_without_an_answer_ends():
    """Not a number stays that, after no more calls than there may be."""
    schedule = SCHEDULES["linear"]
    solver, grid = on(schedule, 1e-3, 4), trailing(schedule, 2)
    *_, last = steps(lambda x, level, cond: Denoised(x * math.nan), solver, grid, X, lambda: 1 / 0)
    assert last.x.isnan().all()


@cases("tolerance", [0.0, -1.0, math.inf, math.nan])
def test_tolerance_out_of_range(tolerance):
    with pytest.raises(ValueError, match="tolerance must be above 0"):
        on(SCHEDULES["linear"], tolerance)

"""The loop as a generator."""

import pytest
import torch

from cases import cases
from ddpm.core import Cond, Denoised
from ddpm.core.discrete import linear
from ddpm.sampling import DDIM, Ancestral, descents, evaluations, sample, start, steps
from ddpm.sampling.grid import trailing
from ddpm.sampling.loop import renoised

SCHEDULE = linear()
SPACES = [(5,), (4, 3), (2, 3, 4)]


class Half:
    """A denoiser that keeps what it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, x, level, cond=None):
        self.asked.append((level, cond))
        return Denoised(x / 2)


class Counting:
    """A solver that counts its steps in its state and notes where it went."""

    def __init__(self):
        self.went = []

    def evaluations(self, grid):
        return len(grid) - 1

    def init(self, grid):
        return 0

    def step(self, denoise, x, now, next, state, randn):
        self.went.append((state, now, next))
        return x + 1, state + 1


def test_every_pair_of_neighbours_once():
    grid, solver = trailing(SCHEDULE, 5), Counting()
    seen = list(steps(Half(), solver, grid, torch.zeros(1, 1, 2), torch.zeros))
    assert solver.went == [(k, grid[k], grid[k + 1]) for k in range(5)]
    assert [step.number for step in seen] == [1, 2, 3, 4, 5]
    assert [step.level for step in seen] == grid[1:]
    assert [step.state for step in seen] == [1, 2, 3, 4, 5]
    assert [float(step.x.mean()) for step in seen] == [1, 2, 3, 4, 5]


def test_between_rises_a_solver_starts_afresh():
    down = trailing(SCHEDULE, 4)
    grid, solver = [down[0], down[2], down[1], down[2], down[3], down[2], down[4]], Counting()
    assert descents(grid) == [[down[0], down[2]], [down[1], down[2], down[3]], [down[2], down[4]]]
    assert evaluations(solver, grid) == 4
    seen = list(steps(Half(), solver, grid, torch.zeros(1, 1, 2), lambda: torch.zeros(1, 1, 2)))
    assert solver.went == [
        (0, down[0], down[2]),
        (0, down[1], down[2]),
        (1, down[2], down[3]),
        (0, down[2], down[4]),
    ]
    assert [step.number for step in seen] == [1, 2, 3, 4]
    assert [step.level for step in seen] == [down[2], down[2], down[3], down[4]]


@cases("s", [0, 300])
def test_a_rise_is_the_forward_process(s):
    """Noise of level s, risen to t, has the mean and the variance of level t."""
    low, high = SCHEDULE.level(s), SCHEDULE.level(700)
    x0, one, zero = torch.full((1, 1, 2), 0.3).double(), torch.ones(1, 1, 2).double(), torch.zeros(1, 1, 2).double()
    mean = renoised(low.alpha * x0, low, high, lambda: zero)
    torch.testing.assert_close(mean, high.alpha * x0)
    old, fresh = renoised(low.sigma * one, low, high, lambda: zero), renoised(zero, low, high, lambda: one)
    torch.testing.assert_close(old**2 + fresh**2, high.sigma**2 * one)


def test_a_constraint_holds_at_every_level_and_the_solver_starts_afresh():
    down = trailing(SCHEDULE, 3)
    grid, solver, held = [down[0], down[1], down[2], down[1], down[3]], Counting(), []

    def constraint(x, level, randn):
        held.append((float(x.mean()), level))
        return torch.full_like(x, 5.0)

    seen = list(steps(Half(), solver, grid, torch.zeros(1, 1, 2), lambda: torch.zeros(1, 1, 2), constraint=constraint))
    risen = 5 * down[1].alpha / down[2].alpha
    assert [level for _, level in held] == grid
    assert [x for x, _ in held] == pytest.approx([0, 6, 6, risen, 6])
    assert [state for state, _, _ in solver.went] == [0, 0, 0]
    assert all(float(step.x.mean()) == 5 for step in seen)


def test_the_caller_may_stop_early():
    denoise = Half()
    walk = steps(denoise, DDIM(), trailing(SCHEDULE, 50), torch.ones(1, 1, 2), torch.zeros)
    assert denoise.asked == []
    next(walk)
    next(walk)
    assert len(denoise.asked) == 2


def test_the_condition_reaches_the_denoiser():
    denoise, cond = Half(), Cond(torch.zeros(1, 2))
    grid = trailing(SCHEDULE, 4)
    sample(denoise, DDIM(), grid, lambda: torch.ones(1, 1, 2), cond)
    assert denoise.asked == [(level, cond) for level in grid[:-1]]


def test_no_gradients_and_none_switched_off_between_steps():
    weight = torch.ones((), requires_grad=True)

    def denoise(x, level, cond=None):
        return Denoised(weight * x)

    for step in steps(denoise, DDIM(), trailing(SCHEDULE, 3), torch.ones(1, 1, 2), torch.zeros):
        assert not step.x.requires_grad
        assert torch.is_grad_enabled()


@cases("space", SPACES)
def test_sample_is_the_loop_from_its_start(space):
    shape = (2, 3, *space)

    def stream():
        g = torch.Generator().manual_seed(0)
        return lambda: torch.randn(shape, generator=g)

    grid = trailing(SCHEDULE, 7)
    randn = stream()
    x = start(grid[0], randn)
    first = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(x, grid[0].sigma * first)
    last = None
    for step in steps(Half(), Ancestral(), grid, x, randn):
        last = step.x
    result = sample(Half(), Ancestral(), grid, stream())
    assert torch.equal(result, last)
    assert result.shape == shape
    assert result.dtype == torch.float32

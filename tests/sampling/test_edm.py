"""EDM's stochastic sampler: what its churn does to a level."""

import math

import pytest
import torch

from cases import cases
from ddpm.core import Continuous, Denoised, Level
from ddpm.core.continuous import EDMProcess as Exploding
from ddpm.core.continuous import Flow
from ddpm.core.discrete import linear
from ddpm.core.schedule import level_of
from ddpm.sampling import sample
from ddpm.sampling.edm import EDMSolver
from ddpm.sampling.grid import trailing
from ddpm.sampling.heun import Heun

SCHEDULES = {"linear": linear(), "flow": Continuous(Flow()), "edm": Continuous(Exploding())}


def on(schedule, **options) -> EDMSolver:
    return EDMSolver(lambda rho: level_of(schedule, rho), **options)


def normal(seed: int = 0) -> torch.Tensor:
    return torch.randn(2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def first_asked(solver: EDMSolver, x: torch.Tensor, now: Level, next: Level, steps: int) -> tuple[torch.Tensor, Level]:
    """Where a step asks the denoiser first."""
    asked = []

    def denoise(x, level):
        asked.append((x, level))
        return Denoised(x.tanh())

    state = solver.init([now] * steps + [next])
    solver.step(denoise, x, now, next, state, lambda: normal(1))
    return asked[0]


@cases("name", SCHEDULES)
def test_noise_is_added_up_to_the_raised_level(name):
    """``y + S_noise √(rho_hat² - rho²) z`` at ``rho_hat = rho (1 + gamma)`` (Karras et al. 2022, alg. 2, 4 to 6)."""
    for churn, steps, gamma in [(2.0, 10, 0.2), (40.0, 10, math.sqrt(2) - 1)]:
        schedule, x = SCHEDULES[name], normal()
        now, next = schedule.level(500), schedule.level(400)
        found, level = first_asked(on(schedule, churn=churn, noise=1.01), x, now, next, steps)
        rho, raised = now.sigma / now.alpha, level.sigma / level.alpha
        assert raised == pytest.approx(rho * (1 + gamma), rel=1e-9)
        y = x / now.alpha + 1.01 * math.sqrt(raised**2 - rho**2) * normal(1)
        torch.testing.assert_close(found, level.alpha * y, rtol=0, atol=1e-9)


def test_only_between_low_and_high():
    """Level 1 has rho 0.01, level 1000 has 157."""
    for timestep in [1, 1000]:
        schedule, x = SCHEDULES["linear"], normal()
        now, next = schedule.level(timestep), schedule.level(timestep - 1)
        found, level = first_asked(on(schedule), x, now, next, 10)
        assert level == now
        assert torch.equal(found, x)


def test_never_beyond_the_noisiest_level():
    schedule, x = SCHEDULES["linear"], normal()
    last, before = schedule.level(1000), schedule.level(999)
    free = on(schedule, high=math.inf)
    assert first_asked(free, x, last, before, 10)[1] == last
    assert first_asked(free, x, before, schedule.level(900), 10)[1] == last


def test_without_signal_nothing_is_raised():
    schedule, x = SCHEDULES["flow"], normal()
    last = schedule.level(1000)
    assert last.alpha == 0
    assert first_asked(on(schedule, high=math.inf), x, last, schedule.level(900), 10)[1] == last


@cases("name", SCHEDULES)
def test_without_churn_it_is_heuns_method(name):
    grid = trailing(SCHEDULES[name], 12)

    def denoise(x, level, cond=None):
        return Denoised((x / (level.alpha + level.sigma)).tanh())

    found, expected = (sample(denoise, s, grid, normal) for s in (on(SCHEDULES[name], churn=0.0), Heun()))
    assert torch.equal(found, expected)


@cases("churn", [-1.0, math.inf, math.nan])
def test_churn_out_of_range(churn):
    with pytest.raises(ValueError, match="churn must be at least 0"):
        on(SCHEDULES["linear"], churn=churn)

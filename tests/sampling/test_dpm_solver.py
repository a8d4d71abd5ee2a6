"""DPM-Solver: at which levels it asks; its steps are compared with published code, and their order is a law."""

import math

import pytest
import torch

from cases import cases
from ddpm.core import Continuous, Denoised, Level
from ddpm.core.continuous import Flow
from ddpm.core.schedule import level_of
from ddpm.sampling.dpm_solver import DPMSolver2, DPMSolver3, DPMSolverPP2S

SCHEDULE = Continuous(Flow(), 1000)
PARTS = {DPMSolver2: [0, 1 / 2], DPMSolver3: [0, 1 / 3, 2 / 3], DPMSolverPP2S: [0, 1 / 2]}
X = torch.linspace(-2, 2, 12, dtype=torch.float64).reshape(1, 3, 4)


def take(kind, now: Level, next: Level) -> tuple[torch.Tensor, list[Level]]:
    asked = []

    def denoise(x, level):
        asked.append(level)
        return Denoised(x.tanh())

    found, _ = kind(lambda rho: level_of(SCHEDULE, rho)).step(denoise, X, now, next, None, lambda: 1 / 0)
    return found, asked


@cases("kind", PARTS)
def test_it_asks_at_equal_parts_of_log_snr(kind):
    now, next = SCHEDULE.level(900), SCHEDULE.level(300)
    _, asked = take(kind, now, next)
    log_snr = [math.log(level.snr) for level in (now, next)]
    expected = [log_snr[0] + part * (log_snr[1] - log_snr[0]) for part in PARTS[kind]]
    assert [math.log(level.snr) for level in asked] == pytest.approx(expected, abs=1e-9)
    assert all(level.alpha + level.sigma == pytest.approx(1, abs=1e-12) for level in asked)


@cases("kind", PARTS)
def test_one_call_and_ddims_step_at_the_ends(kind):
    """From pure noise, or less than a thousandth of signal, and to the clean level."""
    for i, j in [(1000, 700), (1000, 0), (999.5, 700), (300, 0)]:
        now, next = SCHEDULE.level(i), SCHEDULE.level(j)
        found, asked = take(kind, now, next)
        eps = (X - now.alpha * X.tanh()) / now.sigma
        torch.testing.assert_close(found, next.alpha * X.tanh() + next.sigma * eps, rtol=0, atol=1e-14)
        assert asked == [now]

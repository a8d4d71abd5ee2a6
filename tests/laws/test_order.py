"""Each solver converges at the order that it claims, on denoisers whose probability flow is known."""

import math

import pytest
import torch

from ddpm.core import Level
from ddpm.sampling import DDIM, start, steps
from ddpm.sampling.dpm_solver import DPMSolver2, DPMSolver3, DPMSolverPP2S
from ddpm.sampling.heun import Heun

from .every import between
from .exact import Gaussian, Mixture

ORDERS = {
    "ddim": (DDIM(), 1),
    "heun": (Heun(), 2),
    "dpm-solver-2": (DPMSolver2(between), 2),
    "dpm-solver-3": (DPMSolver3(between), 3),
    "dpm++-2s": (DPMSolverPP2S(between), 2),
}
"""Deterministic solvers and their global order."""

GAUSSIAN = Gaussian(
    torch.tensor([0.4, -0.2], dtype=torch.float64), torch.tensor([[0.30, 0.15], [0.15, 0.20]], dtype=torch.float64)
)
MIXTURE = Mixture(*(torch.tensor(v, dtype=torch.float64) for v in ([0.3, 0.7], [-0.6, 0.5], [0.3, 0.15])))


def at(log_snr: float) -> Level:
    """The variance-preserving level of a log(alpha² / sigma²)."""
    return Level(0.0, (1 / (1 + math.exp(-log_snr))) ** 0.5, (1 / (1 + math.exp(log_snr))) ** 0.5)


def log_snr_grid(n: int) -> list[Level]:
    """n equal steps of log-SNR, from almost only noise to almost clean."""
    return [at(-6 + 12 * i / n) for i in range(n + 1)]


def normal() -> torch.Tensor:
    return torch.randn(64, 2, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def flow_of(denoise, x: torch.Tensor, n: int = 2000, first: float = -6, last: float = 6) -> torch.Tensor:
    """The probability flow by the classical Runge-Kutta method: with y = x / alpha and r = sigma / alpha, along log r,
    ``dy / d log r = y - x0`` (Song et al. 2021, eq. 14)."""

    def slope(y, log_r):
        level = at(-2 * log_r)
        return y - denoise(y * level.alpha, level).x0

    y, h = x / at(first).alpha, (first - last) / 2 / n
    for i in range(n):
        log_r = -first / 2 + i * h
        k1 = slope(y, log_r)
        k2 = slope(y + h / 2 * k1, log_r + h / 2)
        k3 = slope(y + h / 2 * k2, log_r + h / 2)
        k4 = slope(y + h * k3, log_r + h)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return y * at(last).alpha


def errors(solver, denoise, x: torch.Tensor, exact: torch.Tensor, counts) -> list[float]:
    result = []
    for n in counts:
        *_, last = steps(denoise, solver, log_snr_grid(n), x, normal)
        result.append(float((last.x - exact).square().mean().sqrt()))
    return result


def test_the_two_ways_to_the_exact_answer_agree():
    x = start(at(-6), normal)
    torch.testing.assert_close(flow_of(GAUSSIAN, x), GAUSSIAN.flow(x, at(-6), at(6)), rtol=0, atol=1e-8)


@pytest.mark.parametrize("denoise", [GAUSSIAN, MIXTURE], ids=["Gaussian", "mixture"])
@pytest.mark.parametrize(("solver", "order"), ORDERS.values(), ids=ORDERS)
def test_order_of_convergence(solver, order, denoise):
    """The slope of log error over log steps, from 100 to 800 steps, is within 0.05 of the order."""
    x = start(at(-6), normal)
    exact = flow_of(denoise, x)
    coarse, fine = errors(solver, denoise, x, exact, (100, 800))
    assert math.log(coarse / fine) / math.log(8) == pytest.approx(order, abs=0.05)
    assert fine < 1e-2

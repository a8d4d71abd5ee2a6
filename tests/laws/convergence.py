"""How the order of a solver is measured: on denoisers whose probability flow is known."""

import math

import torch

from ddpm.core import Level
from ddpm.sampling import DDIM, Solver
from ddpm.sampling.deis import DEIS
from ddpm.sampling.dpm_multistep import DPMMultistep
from ddpm.sampling.dpm_solver import DPMSolver2, DPMSolver3, DPMSolverPP2S
from ddpm.sampling.exponential import bh1
from ddpm.sampling.heun import Heun
from ddpm.sampling.ipndm import IPNDM
from ddpm.sampling.unipc import UniPC

from .every import between
from .exact import Gaussian, Mixture

SINGLE_STEP: dict[str, tuple[Solver, int]] = {
    "ddim": (DDIM(), 1),
    "heun": (Heun(), 2),
    "dpm-solver-2": (DPMSolver2(between), 2),
    "dpm-solver-3": (DPMSolver3(between), 3),
    "dpm++-2s": (DPMSolverPP2S(between), 2),
}
"""Deterministic solvers and their global order."""
MULTISTEP: dict[str, tuple[Solver, int]] = {
    "dpm++-1m": (DPMMultistep(1), 1),
    "dpm++-2m": (DPMMultistep(2), 2),
    "dpm++-3m": (DPMMultistep(3), 2),
    "dpm++-3m-exact": (DPMMultistep(3, curvature=1.0), 3),
    "unipc-1": (UniPC(1), 2),
    "unipc-2": (UniPC(2), 3),
    "unipc-3": (UniPC(3), 4),
    "unipc-1-bh1": (UniPC(1, bh1), 2),
    "unipc-2-bh1": (UniPC(2, bh1), 3),
    "unipc-3-bh1": (UniPC(3, bh1), 4),
    "deis-1": (DEIS(1), 1),
    "deis-2": (DEIS(2), 2),
    "deis-3": (DEIS(3), 3),
    # on grids that are even in log-SNR
    "ipndm-1": (IPNDM(1), 1),
    "ipndm-2": (IPNDM(2), 2),
    "ipndm-3": (IPNDM(3), 2),
    "ipndm-4": (IPNDM(4), 2),
}
"""The same of those that remember."""

GAUSSIAN = Gaussian(
    torch.tensor([0.4, -0.2], dtype=torch.float64), torch.tensor([[0.30, 0.15], [0.15, 0.20]], dtype=torch.float64)
)
MIXTURE = Mixture(*(torch.tensor(v, dtype=torch.float64) for v in ([0.3, 0.7], [-0.6, 0.5], [0.3, 0.15])))


def at(log_snr: float) -> Level:
    """The variance-preserving level of a log(alpha² / sigma²)."""
    return Level(0.0, (1 / (1 + math.exp(-log_snr))) ** 0.5, (1 / (1 + math.exp(log_snr))) ** 0.5)


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


NOISE, END = -14, 2
"""Ends in log-SNR: x0 hardly changes where the first steps, of lower order, are taken."""


def even(n: int) -> list[Level]:
    """n equal steps of log-SNR."""
    return [at(NOISE + (END - NOISE) * i / n) for i in range(n + 1)]


def even_ratio(n: int) -> list[Level]:
    """n equal steps of sigma / alpha."""
    return [between(20 - 19.5 * i / n) for i in range(n + 1)]

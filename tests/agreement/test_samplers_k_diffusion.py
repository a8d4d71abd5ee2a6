"""Our solvers walk as the published loops of k-diffusion do, written out here in float64 numpy.

Those know the process ``y = x0 + rho · eps`` alone. Ours are run on three processes of the same noise-to-signal ratios
rho, where ``x = alpha · y``.
"""

from itertools import pairwise

import numpy as np
import torch

from cases import cases
from ddpm import build
from ddpm.core import Denoised, Level
from ddpm.sampling import sample
from ddpm.sampling.edm import EDMSolver

RHOS = [40.0, 15.0, 6.0, 1.5, 0.4, 0.05, 0.0]
CHURN = {"churn": 1.2, "low": 0.2, "high": 20.0, "noise": 1.1}
PROCESSES = {
    "preserving": lambda rho: Level(0.0, (1 + rho**2) ** -0.5, rho * (1 + rho**2) ** -0.5),
    "exploding": lambda rho: Level(0.0, 1.0, rho),
    "straight": lambda rho: Level(0.0, 1 / (1 + rho), rho / (1 + rho)),
}


def believed(y, rho, tanh=np.tanh):
    return 0.6 * tanh(y / (0.5 + rho)) + 0.1


def slope(y, rho):
    return (y - believed(y, rho)) / rho


def euler(y, now, next, noise):
    return y + (next - now) * slope(y, now)


def heun(y, now, next, noise):
    d = slope(y, now)
    return y + (next - now) * (d + slope(y + (next - now) * d, next)) / 2 if next else euler(y, now, next, noise)


def churned_heun(y, now, next, noise):
    gamma = min(1.2 / (len(RHOS) - 1), 2**0.5 - 1) if 0.2 <= now <= 20 else 0
    hat = now * (1 + gamma)
    return heun(y + (1.1 * next_of(noise) * (hat**2 - now**2) ** 0.5 if gamma else 0), hat, next, noise)


def euler_ancestral(y, now, next, noise, eta=1.0):
    up = min(next, eta * (next**2 * (now**2 - next**2) / now**2) ** 0.5)
    down = (next**2 - up**2) ** 0.5
    y = y + slope(y, now) * (down - now)
    return y + next_of(noise) * up if next else y


def dpm_2(y, now, next, noise):
    if not next:
        return euler(y, now, next, noise)
    middle = np.exp((np.log(now) + np.log(next)) / 2)
    return y + slope(y + slope(y, now) * (middle - now), middle) * (next - now)


def dpm_3(y, now, next, noise):
    if not next:
        return euler(y, now, next, noise)
    r1, r2, h = 1 / 3, 2 / 3, np.log(now) - np.log(next)
    one, two = now * np.exp(-r1 * h), now * np.exp(-r2 * h)
    eps = slope(y, now)
    eps_1 = slope(y - one * np.expm1(r1 * h) * eps, one)
    bend = (np.expm1(r2 * h) / (r2 * h) - 1) * (eps_1 - eps)
    eps_2 = slope(y - two * np.expm1(r2 * h) * eps - two * (r2 / r1) * bend, two)
    return y - next * np.expm1(h) * eps - next / r2 * (np.expm1(h) / h - 1) * (eps_2 - eps)


def dpmpp_2s(y, now, next, noise):
    if not next:
        return euler(y, now, next, noise)
    h = np.log(now) - np.log(next)
    middle = now * np.exp(-h / 2)
    there = middle / now * y - np.expm1(-h / 2) * believed(y, now)
    return next / now * y - np.expm1(-h) * believed(there, middle)


def next_of(noise):
    return next(noise)


def draws():
    generator = np.random.default_rng(1)
    while True:
        yield generator.standard_normal((2, 3, 4))


THEIRS = {
    "euler": euler,
    "heun": heun,
    "edm": churned_heun,
    "euler-ancestral": euler_ancestral,
    "dpm-solver-1": euler,
    "dpm-solver-2": dpm_2,
    "dpm-solver-3": dpm_3,
    "dpm++-1s": euler,
    "dpm++-2s": dpmpp_2s,
}


@cases("process", PROCESSES)
@cases("name", THEIRS)
def test_the_same_walk(name, process):
    level, noise = PROCESSES[process], draws()
    y = RHOS[0] * next(noise)
    for now, after in pairwise(RHOS):
        y = THEIRS[name](y, now, after, noise)

    def denoise(x, at, cond=None):
        return Denoised(believed(x / at.alpha, at.sigma / at.alpha, torch.tanh))

    solver = EDMSolver(level, **CHURN) if name == "edm" else build.SOLVERS[name](level)
    grid, noise = [*(level(rho) for rho in RHOS[:-1]), Level(0.0, 1.0, 0.0)], draws()
    ours = sample(denoise, solver, grid, lambda: torch.from_numpy(next(noise)))
    torch.testing.assert_close(ours, torch.from_numpy(y), rtol=0, atol=1e-12)


def test_the_walks_differ():
    """So that the agreement says something."""
    ends = {}
    for name, walk in THEIRS.items():
        noise = draws()
        y = RHOS[0] * next(noise)
        for now, after in pairwise(RHOS):
            y = walk(y, now, after, noise)
        ends[name] = y
    distinct = [ends[name] for name in THEIRS if name not in ("dpm-solver-1", "dpm++-1s")]
    for i, a in enumerate(distinct):
        assert all(abs(a - b).max() > 1e-3 for b in distinct[:i])

"""UniPC against the paper's linear systems, solved by numpy, in the form of its authors' code."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from cases import cases
from ddpm.core import Denoised, Level
from ddpm.sampling import DDIM, steps
from ddpm.sampling.exponential import bh1, bh2
from ddpm.sampling.unipc import UniPC

from .bent import PROCESSES, bent, start

RHOS = [30.0, 12.0, 5.0, 1.5, 0.7, 0.2, 0.05]


def update(x, m0, others, now, next, b_of):
    """One update from ``now`` to ``next`` by data prediction (Zhao et al. 2023): ``R rho = b``, then
    ``x = sigma_s / sigma_t x - alpha_s (exp(-h) - 1) m0 - alpha_s B(h) Σ rho_k D_k / r_k``.

    ``others`` are (level, x0) beside ``now``: older ones, and for the corrector the one at ``next``.
    """
    lam = [math.log(level.alpha / level.sigma) for level in (now, next, *(level for level, _ in others))]
    h = lam[1] - lam[0]
    r = np.array([(at - lam[0]) / h for at in lam[2:]])
    # B(h) and the varphis of -h
    b_h = -h if b_of is bh1 else math.expm1(-h)
    phis, factorial, rhs = math.expm1(-h) / -h - 1, 1, []
    for k in range(1, len(r) + 1):
        rhs.append(phis * factorial / b_h)
        factorial *= k + 1
        phis = phis / -h - 1 / factorial
    # with one unknown its authors take 1/2, for either B
    rho = [0.5] if len(r) == 1 else np.linalg.solve(np.vander(r, increasing=True).T, rhs)
    x = next.sigma / now.sigma * x - next.alpha * math.expm1(-h) * m0
    for rho_k, r_k, (_, m) in zip(rho, r, others, strict=True):
        x = x - next.alpha * b_h * float(rho_k) * (m - m0) / float(r_k)
    return x


def reference(order, b_of, grid):
    x, points, used, before = start(grid[0]), [], 0, None
    for i, (now, next_) in enumerate(pairwise(grid)):
        m = bent(x, now).x0
        if before is not None:
            (level, m0), *older = points
            x = update(before, m0, [*older[: used - 1], (now, m)], level, now, b_of)
        points = [(now, m), *points]
        used, before = min(order, i + 1), x
        x = update(x, m, points[1:used], now, next_, b_of)
    return x


@pytest.mark.parametrize("order", [1, 2, 3])
def test_predictor_and_corrector(order):
    for process in PROCESSES:
        for b in [bh1, bh2]:
            grid = [PROCESSES[process](rho) for rho in RHOS]
            *_, last = steps(bent, UniPC(order, b), grid, start(grid[0]), torch.zeros)
            torch.testing.assert_close(last.x, reference(order, b, grid), rtol=0, atol=1e-11)


def test_the_first_step_and_the_step_to_clean_are_ddims():
    """What is corrected later, x at the last noisy level, is not what x0 was asked for."""
    first, clean = PROCESSES["straight"](2.0), Level(0.0, 1.0, 0.0)
    grid = [PROCESSES["straight"](5.0), first, clean]
    ours, ddim = (
        [step.x for step in steps(bent, solver, grid, start(grid[0]), torch.zeros)] for solver in (UniPC(3), DDIM())
    )
    torch.testing.assert_close(ours[0], ddim[0], rtol=0, atol=1e-14)
    assert torch.equal(ours[1], bent(ours[0], first).x0)


@cases("b", [bh1, bh2])
def test_a_step_from_a_level_without_signal_is_not_corrected(b):
    levels = [Level(0.0, 0.0, 1.0), *(PROCESSES["preserving"](rho) for rho in (3.0, 1.0, 0.3))]
    solver, x = UniPC(2, b), start(levels[0])
    state, ddim = solver.init(levels), DDIM()

    def blind(x, level):
        return bent(x, level) if level.alpha else Denoised(torch.full_like(x, 0.1))

    for now, next_ in pairwise(levels[:3]):
        expected, _ = ddim.step(blind, x, now, next_, None, torch.zeros)
        x, state = solver.step(blind, x, now, next_, state, torch.zeros)
        torch.testing.assert_close(x, expected, rtol=0, atol=1e-14)
    x, state = solver.step(blind, x, levels[2], levels[3], state, torch.zeros)
    assert x.isfinite().all()


@pytest.mark.parametrize("order", [0, 4])
def test_order_out_of_range(order):
    with pytest.raises(ValueError, match=f"order must be 1, 2 or 3, not {order}"):
        UniPC(order)

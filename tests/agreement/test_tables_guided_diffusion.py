"""Pairs of levels give the numbers that the original codes tabulate, on the full process and on fewer levels.

Against their formulas, written out here, and against tables that openai/guided-diffusion made: linear, T = 1000, full
and re-spaced to "50", "ddim25" and the sections "10,15,20".
"""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from cases import cases
from ddpm.core.discrete import cosine, linear
from ddpm.core.gaussian import log_variances, posterior, reverse_log_variance, transition
from ddpm.objectives.bound import least
from ddpm.sampling.grid import uniform

MADE = load_file(Path(__file__).parent / "data" / "guided-diffusion-tables.safetensors")


def linear_betas(T):
    return np.linspace(1e-4, 0.02, T, dtype=np.float64)


def cosine_betas(T):
    def curve(u):
        return math.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2

    return np.array([min(1 - curve((i + 1) / T) / curve(i / T), 0.999) for i in range(T)])


def timesteps(T, steps):
    """Evenly spread, both ends among them (improved-diffusion, ``space_timesteps``)."""
    stride, at, kept = (T - 1) / (steps - 1), 0.0, []
    for _ in range(steps):
        kept.append(round(at))
        at += stride
    return kept


def respaced(betas, kept):
    """The betas of a process that keeps only these timesteps (improved-diffusion, ``SpacedDiffusion``)."""
    abar = np.cumprod(1 - betas)[kept]
    return 1 - abar / np.append(1.0, abar[:-1])


def original(betas):
    """What Ho et al.'s and Nichol & Dhariwal's codes compute once from their betas."""
    abar = np.cumprod(1 - betas)
    before = np.append(1.0, abar[:-1])
    variance = betas * (1 - before) / (1 - abar)
    return {
        "betas": betas,
        "alphas_cumprod": abar,
        "posterior_variance": variance,
        "posterior_log_variance_clipped": np.log(np.append(variance[1], variance[1:])),
        "posterior_mean_coef1": betas * np.sqrt(before) / (1 - abar),
        "posterior_mean_coef2": (1 - before) * np.sqrt(1 - betas) / (1 - abar),
    }


def ours(grid):
    """The same from the levels of a grid, cleanest pair first."""
    pairs = list(pairwise(grid))[::-1]
    steps = [posterior(t, s) for t, s in pairs]
    return {
        "betas": np.array([transition(t, s).var for t, s in pairs]),
        "alphas_cumprod": np.array([t.alpha**2 for t, _ in pairs]),
        "posterior_variance": np.array([step.var for step in steps]),
        "posterior_log_variance_clipped": np.array([log_variances(t, s, least(grid)).low for t, s in pairs]),
        "posterior_mean_coef1": np.array([step.x0_weight for step in steps]),
        "posterior_mean_coef2": np.array([step.xt_weight for step in steps]),
    }


def assert_equal(grid, kept, tables):
    assert [level.t for level in grid[-2::-1]] == list(kept)
    for name, mine in ours(grid).items():
        # a logarithm's absolute error is the relative error of its variance; and where a beta is almost 1, their
        # 1 - beta, from which they multiply ᾱ together again, is known to 1e-16 only, and its root to 1e-12
        rtol, atol = {
            "posterior_log_variance_clipped": (0, 1e-10),
            "alphas_cumprod": (1e-10, 1e-16),
            "posterior_mean_coef2": (1e-10, 1e-12),
        }.get(name, (1e-10, 0))
        np.testing.assert_allclose(mine, tables[name], rtol=rtol, atol=atol, err_msg=name)


@cases(("schedule", "betas"), [(linear(1000), linear_betas(1000)), (cosine(4000), cosine_betas(4000))])
def test_the_formulas_of_the_original_codes(schedule, betas):
    for steps in [None, 25, 50, 100]:
        kept = range(schedule.T) if steps is None else timesteps(schedule.T, steps)
        tables = original(betas if steps is None else respaced(betas, kept))
        assert_equal(uniform(schedule, steps or schedule.T), kept, tables)


@cases("spacing", ["full", "50", "ddim25", "sect"])
def test_tables_made_by_guided_diffusion(spacing):
    tables = {name.removeprefix(f"{spacing}."): v for name, v in MADE.items() if name.startswith(f"{spacing}.")}
    kept = tables.pop("timesteps")
    schedule = linear(1000)
    assert_equal([schedule.level(int(i) + 1) for i in kept[::-1]] + [schedule.level(0)], kept, tables)


@cases(("fixed", "name"), [(0.0, "small"), (1.0, "large")])
def test_fixed_variances_of_the_original_codes(fixed, name):
    """``FIXED_SMALL`` and ``FIXED_LARGE``: both take the second posterior variance at the last step."""
    large = np.log(np.append(MADE["50.posterior_variance"][1], MADE["50.betas"][1:]))
    expected = {"small": MADE["50.posterior_log_variance_clipped"], "large": large}[name]
    grid = uniform(linear(1000), 50)
    mine = [reverse_log_variance(t, s, least(grid), fixed=fixed) for t, s in pairwise(grid)]
    np.testing.assert_allclose(mine[::-1], expected, rtol=0, atol=1e-10)

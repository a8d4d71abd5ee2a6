"""Quantiles of the symmetric beta distribution, against scipy and in closed form."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import beta

from cases import cases
from ddpm.core import Continuous
from ddpm.core.continuous import VE
from ddpm.core.discrete import linear
from ddpm.sampling.grid import Beta
from ddpm.sampling.grid.beta import quantile

EVENLY = torch.linspace(0, 1, 2001, dtype=torch.float64)[1:-1]
TAILS = torch.tensor([1e-12, 1e-9, 1e-6, 1e-4, 0.5 - 1e-12, 0.5, 0.5 + 1e-12, 1 - 1e-6], dtype=torch.float64)
P = torch.cat([EVENLY, TAILS])


def test_quantiles_are_those_of_scipy():
    for a in [0.5, 0.6, 0.75, 0.99, 1.0]:
        found = quantile(P, a).numpy()
        np.testing.assert_allclose(found, beta.ppf(P.numpy(), a, a), rtol=1e-13, atol=0)


def test_of_one_half_it_is_the_arcsine_law():
    torch.testing.assert_close(quantile(P, 0.5), (math.pi / 2 * P).sin().square(), rtol=1e-13, atol=0)


def test_of_one_it_is_even():
    torch.testing.assert_close(quantile(P, 1.0), P, rtol=0, atol=1e-16)


@cases("schedule", [linear(1000), linear(40), Continuous(VE(), 100)])
def test_places_are_quantiles(schedule):
    """Of 1, (S - 2) / (S - 1), … 0, over [1, T]."""
    for steps in [2, 3, 7, 50]:
        p = [1 - k / (steps - 1) for k in range(steps)]
        timesteps = [1 + (schedule.T - 1) * beta.ppf(q, 0.6, 0.6) for q in p]
        for found, timestep in zip(Beta()(schedule, steps)[:-1], timesteps, strict=True):
            assert found.t == pytest.approx(schedule.level(timestep).t, abs=1e-9)
            assert found.sigma == pytest.approx(schedule.level(timestep).sigma, rel=1e-9)


def test_steps_are_small_at_both_ends():
    t = [level.t for level in Beta()(linear(1000), 11)[:-1]]
    lengths = -np.diff(t)
    assert lengths.argmax() in (4, 5)
    assert lengths[[0, -1]].max() < 0.3 * lengths.max()
    np.testing.assert_allclose(lengths, lengths[::-1], rtol=1e-9)


@cases("a", [0.0, 0.49, 1.01, -1.0, math.nan])
def test_other_distributions(a):
    with pytest.raises(ValueError, match=r"a must be between 0.5 and 1, not"):
        Beta(a)

"""Processes in continuous time against the stochastic differential equations of their papers."""

import math
from decimal import Decimal, getcontext

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cases import cases
from ddpm.core import Continuous, Level
from ddpm.core.continuous import FLOOR, VE, VP, EDMProcess, Flow, LinearBeta, SubVP
from ddpm.sampling import grid as grids

CURVES = {
    "vp": VP(),
    "sub-vp": SubVP(),
    "ve": VE(),
    "edm": EDMProcess(),
    "flow": Flow(),
    "steeper vp": VP(LinearBeta(0.5, 30)),
    "narrower ve": VE(0.1, 5.0),
    "straight edm": EDMProcess(rho=1.0),
}
LENGTHS = [1, 2, 7, 1000, 400_000]
U = torch.linspace(0.001, 0.999, 41, dtype=torch.float64)


def beta(u):
    return 0.1 + u * 19.9


def drift_and_diffusion(name, u):
    """f and g² of ``dx = f · x du + g dw``: Song et al. 2021, app. C; for flow, from its conditional paths."""
    nothing, integral = torch.zeros_like(u), 0.1 * u + 19.9 * u**2 / 2
    return {
        "vp": (-beta(u) / 2, beta(u)),
        "sub-vp": (-beta(u) / 2, beta(u) * (1 - (-2 * integral).exp())),
        "ve": (nothing, (0.01 * (50 / 0.01) ** u) ** 2 * 2 * math.log(50 / 0.01)),
        "flow": (-1 / (1 - u), 2 * u / (1 - u)),
    }[name]


@cases("name", ["vp", "sub-vp", "ve", "flow"])
def test_it_solves_its_equation(name):
    """alpha' = f · alpha and (sigma²)' = 2 f · sigma² + g², the moments of a linear equation, by differentiation."""
    u = U.clone().requires_grad_()
    alpha, sigma = CURVES[name].scales(u)
    f, g2 = drift_and_diffusion(name, U)
    (of_alpha,) = torch.autograd.grad(alpha.sum() + 0 * u.sum(), u, retain_graph=True)
    (of_variance,) = torch.autograd.grad(sigma.square().sum(), u)
    torch.testing.assert_close(of_alpha, f * alpha.detach(), rtol=1e-11, atol=1e-15)
    torch.testing.assert_close(of_variance, 2 * f * sigma.detach() ** 2 + g2, rtol=1e-11, atol=1e-11)


def test_where_the_equations_begin_and_end():
    """Clean for u -> 0 where they say so; the ends that the papers give for the others."""
    zero, one = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    for name in ("vp", "sub-vp", "flow"):
        assert [float(v) for v in CURVES[name].scales(zero)] == [1, 0]
    assert [float(v) for v in CURVES["vp"].scales(one)] == pytest.approx(
        [math.exp(-5.025), math.sqrt(1 - math.exp(-10.05))]
    )
    for name, low, high in (("ve", 0.01, 50), ("edm", 0.002, 80)):
        assert float(CURVES[name].scales(zero)[1]) == pytest.approx(low, rel=1e-14)
        assert float(CURVES[name].scales(one)[1]) == pytest.approx(high, rel=1e-14)


def test_no_digit_is_cancelled():
    """Both scales of VP and sub-VP with 40 digits; 1 - alpha² would keep ten of sixteen at the first of these u."""
    for u in ["0.00001", "0.001", "0.3", "1"]:
        getcontext().prec = 40
        alpha = (-(Decimal(u) ** 2 * Decimal("19.9") / 4 + Decimal(u) * Decimal("0.1") / 2)).exp()
        at = torch.tensor([float(u)], dtype=torch.float64)
        for curve, sigma in ((VP(), (1 - alpha**2).sqrt()), (SubVP(), 1 - alpha**2)):
            assert [float(v) for v in curve.scales(at)] == pytest.approx([float(alpha), float(sigma)], rel=4e-16)


def test_edm_ticks_are_the_steps_of_karras():
    """``sigma_i = (high^(1/7) + i / (T - 1) · (low^(1/7) - high^(1/7)))^7``, fed as ``ln(sigma) / 4``."""
    for T in [2, 18, 1000]:
        i = np.arange(T)
        sigma = (80 ** (1 / 7) + i / (T - 1) * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
        levels = [Continuous(EDMProcess(), T).level(T - k) for k in i]
        np.testing.assert_allclose([level.sigma for level in levels], sigma, rtol=1e-12)
        np.testing.assert_allclose([level.t for level in levels], np.log(sigma) / 4, rtol=0, atol=1e-12)
        assert {level.alpha for level in levels} == {1.0}


def test_what_the_network_is_fed():
    """999 u in Song's processes, 1000 u in flow: at timestep 250 of 1000, u = 0.25 or 249 / 999."""
    fed = {name: Continuous(CURVES[name]).level(250).t for name in ("vp", "sub-vp", "ve", "flow")}
    assert fed == pytest.approx({"vp": 249.75, "sub-vp": 249.75, "ve": 249, "flow": 250}, rel=1e-14)


@cases("name", CURVES)
def test_place_inverts_level(name):
    for T in LENGTHS:
        schedule = Continuous(CURVES[name], T)
        timesteps = torch.cat([1 + (T - 1) * torch.linspace(0, 1, 301, dtype=torch.float64), torch.tensor([1.0, T])])
        levels = schedule.levels(timesteps)
        torch.testing.assert_close(schedule.timestep(levels.sigma / levels.alpha), timesteps, rtol=1e-12, atol=0)


@given(name=st.sampled_from(sorted(CURVES)), T=st.sampled_from(LENGTHS), ends=st.tuples(*[st.floats(0, 1)] * 2))
def test_a_later_place_is_noisier(name, T, ends):
    schedule, (one, other) = Continuous(CURVES[name], T), (u * T for u in sorted(ends))
    before, after = schedule.level(one), schedule.level(other)
    assert before.sigma * after.alpha <= after.sigma * before.alpha
    if other - one > 1e-9 * T and other > 1 and other > 2 * FLOOR * T:
        assert before.sigma * after.alpha < after.sigma * before.alpha
        assert before.t < after.t or before.clean


@cases("name", CURVES)
def test_ratios_beyond_the_ends(name):
    for T in LENGTHS:
        timesteps = Continuous(CURVES[name], T).timestep(
            torch.tensor([0.0, 1e-12, 1e12, 1e200, math.inf], dtype=torch.float64)
        )
        torch.testing.assert_close(timesteps, torch.tensor([1, 1, T, T, T], dtype=torch.float64), rtol=1e-11, atol=0)
        assert float(timesteps[-1]) == T


@cases("name", CURVES)
def test_clean_is_clean(name):
    schedule = Continuous(CURVES[name])
    clean = schedule.level(0)
    assert (clean.alpha, clean.sigma, clean.clean) == (1.0, 0.0, True)
    assert clean.t == schedule.level(FLOOR / 2).t
    many = schedule.levels(torch.tensor([0, 1000]))
    assert (float(many.alpha[0]), float(many.sigma[0])) == (1.0, 0.0)


@cases("name", ["vp", "sub-vp", "flow"])
def test_below_the_first_tick_there_are_levels_down_to_the_floor(name):
    schedule = Continuous(CURVES[name])
    sigmas = [schedule.level(timestep).sigma for timestep in (0.01, 0.1, 0.5, 1)]
    assert sorted(set(sigmas)) == sigmas
    assert schedule.level(1e-9) == schedule.level(1000 * FLOOR)
    assert schedule.level(1e-9).sigma > 0


@cases("T", LENGTHS)
@cases("name", CURVES)
def test_places_of_times_down_to_the_floor_are_inverted(name, T):
    """From the least of them on; and all that is cleaner is there."""
    schedule, times = Continuous(CURVES[name], T), [FLOOR, 1e-4, 0.01, 0.5, 1.0]
    timesteps = torch.tensor([schedule.timestep_at(u) for u in times], dtype=torch.float64)
    levels, least = schedule.levels(timesteps), float(timesteps[0])
    if T > 1 or schedule.curve.begins_clean:
        torch.testing.assert_close(
            schedule.timestep(levels.sigma / levels.alpha, least), timesteps, rtol=1e-9, atol=1e-12
        )
    alpha, sigma = CURVES[name].scales(torch.tensor(times, dtype=torch.float64))
    if T > 1:
        torch.testing.assert_close(levels.sigma / levels.alpha, sigma / alpha, rtol=1e-9, atol=0)
    assert float(schedule.timestep(torch.zeros(1, dtype=torch.float64), least)) == pytest.approx(least)


@cases("name", ["ve", "edm"])
def test_below_the_first_tick_there_is_the_least_noise(name):
    schedule = Continuous(CURVES[name])
    assert schedule.level(1e-9) == schedule.level(0.5) == schedule.level(1)


def test_flow_ends_in_noise_alone():
    for T in LENGTHS:
        assert Continuous(Flow(), T).level(T) == Level(1000.0, 0.0, 1.0)


@cases("name", CURVES)
def test_levels_as_floats_and_as_tensors(name):
    schedule, timesteps = Continuous(CURVES[name], 20), torch.tensor([1, 20, 7, 0])
    many, same = schedule.levels(timesteps), schedule.levels(timesteps.double())
    for field in ("t", "alpha", "sigma"):
        values = getattr(many, field)
        assert values.dtype == torch.float64
        assert torch.equal(values, getattr(same, field))
        for k, timestep in enumerate(timesteps.tolist()):
            one = getattr(schedule.level(timestep), field)
            assert isinstance(one, float)
            assert one == pytest.approx(float(values[k]), rel=1e-15)  # vectorised exp may round otherwise


@cases("timestep", [-1, -1e-9, 10.001, math.nan])
def test_no_such_place(timestep):
    with pytest.raises(ValueError, match="outside 0 … 10"):
        Continuous(VP(), 10).level(timestep)


@cases("T", [0, -5])
def test_no_such_length(T):
    with pytest.raises(ValueError, match=f"T must be at least 1, not {T}"):
        Continuous(VP(), T)


@cases("name", CURVES)
def test_grids_go_from_the_noisiest_to_clean(name):
    for grid in ["uniform", "leading", "trailing", "quadratic"]:
        for steps in [1, 2, 7, 20]:
            schedule = Continuous(CURVES[name], 20)
            visited = getattr(grids, grid)(schedule, steps)
            assert len(visited) == steps + 1
            assert visited[0] == schedule.level(20)
            assert visited[-1].clean
            timesteps = schedule.timestep(
                torch.tensor([v.sigma / v.alpha if v.alpha else math.inf for v in visited[:-1]]).double()
            )
            assert (timesteps.diff() < -0.5).all()

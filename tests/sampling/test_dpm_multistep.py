"""DPM-Solver++ of many steps against the published loops, written out in float64."""

import math
from itertools import pairwise

import pytest
import torch

from cases import cases
from ddpm.core import Denoised, Level
from ddpm.sampling import DDIM, steps
from ddpm.sampling.dpm_multistep import DPMMultistep

from .bent import PROCESSES, believed, bent, normal, start

RHOS = [30.0, 12.0, 5.0, 1.5, 0.7, 0.2, 0.05, 0.0]


def ours(solver, process, rhos=RHOS) -> torch.Tensor:
    seeds = iter(range(1, 100))
    grid = [PROCESSES[process](rho) for rho in rhos]
    *_, last = steps(bent, solver, grid, start(grid[0]), lambda: normal(next(seeds)))
    return last.x


def dpmpp_2m_sde(rhos, eta) -> torch.Tensor:
    """k-diffusion's ``sample_dpmpp_2m_sde``, midpoint; without noise ``sample_dpmpp_2m``, Lu et al.'s algorithm 2."""
    seeds, x, old, h_last = iter(range(1, 100)), rhos[0] * normal(0), None, None
    for now, next_ in pairwise(rhos):
        denoised = believed(x, now)
        if next_ == 0:
            return denoised
        h = math.log(now / next_)
        eta_h = eta * h
        x = next_ / now * math.exp(-eta_h) * x + -math.expm1(-h - eta_h) * denoised
        if old is not None:
            r = h_last / h
            x = x + 0.5 * -math.expm1(-h - eta_h) * (1 / r) * (denoised - old)
        if eta:
            x = x + normal(next(seeds)) * next_ * math.sqrt(-math.expm1(-2 * eta_h))
        old, h_last = denoised, h
    raise AssertionError


def dpmpp_3m_sde(rhos, eta, curvature=0.5) -> torch.Tensor:
    """k-diffusion's ``sample_dpmpp_3m_sde``, whose d2 is half of the curvature, but where there are two points and
    before the step to clean its 2m's midpoint."""
    seeds, x, denoised_1, denoised_2, h_1, h_2 = iter(range(1, 100)), rhos[0] * normal(0), None, None, None, None
    for i, (now, next_) in enumerate(pairwise(rhos)):
        denoised = believed(x, now)
        if next_ == 0:
            return denoised
        h = math.log(now / next_)
        h_eta = h * (eta + 1)
        x = math.exp(-h_eta) * x + -math.expm1(-h_eta) * denoised
        if h_2 is not None and i < len(rhos) - 3:
            r0, r1 = h_1 / h, h_2 / h
            d1_0, d1_1 = (denoised - denoised_1) / r0, (denoised_1 - denoised_2) / r1
            d1 = d1_0 + (d1_0 - d1_1) * r0 / (r0 + r1)
            d2 = 2 * curvature * (d1_0 - d1_1) / (r0 + r1)
            phi_2 = math.expm1(-h_eta) / h_eta + 1
            phi_3 = phi_2 / h_eta - 0.5
            x = x + phi_2 * d1 - phi_3 * d2
        elif h_1 is not None:
            x = x + 0.5 * -math.expm1(-h_eta) * (denoised - denoised_1) / (h_1 / h)
        if eta:
            x = x + normal(next(seeds)) * next_ * math.sqrt(-math.expm1(-2 * h * eta))
        denoised_1, denoised_2, h_1, h_2 = denoised, denoised_1, h, h_1
    raise AssertionError


@pytest.mark.parametrize(("order", "theirs"), [(2, dpmpp_2m_sde), (3, dpmpp_3m_sde)])
def test_the_published_loops(order, theirs):
    """On any process of the same noise-to-signal ratios."""
    for process in PROCESSES:
        for eta in [0.0, 0.4, 1.0, 2.0]:
            torch.testing.assert_close(ours(DPMMultistep(order, eta), process), theirs(RHOS, eta), rtol=0, atol=1e-12)


@cases("curvature", [0.0, 0.3, 1.0])
@cases("eta", [0.0, 1.0])
def test_a_share_of_the_curvature(eta, curvature):
    solver = DPMMultistep(3, eta, curvature)
    expected = dpmpp_3m_sde(RHOS, eta, curvature)
    torch.testing.assert_close(ours(solver, "preserving"), expected, rtol=0, atol=1e-12)


@cases("process", PROCESSES)
def test_order_1_is_ddim(process):
    torch.testing.assert_close(ours(DPMMultistep(1), process), ours(DDIM(), process), rtol=0, atol=1e-12)


@cases("process", PROCESSES)
def test_order_1_of_the_reverse_sde_is_ddim_of_eta_1(process):
    """Its variance ``sigma_s² (1 - q²)`` is the posterior's, with q = sigma_s·alpha_t / (alpha_s·sigma_t)."""
    torch.testing.assert_close(ours(DPMMultistep(1, 1.0), process), ours(DDIM(1.0), process), rtol=0, atol=1e-12)


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_a_start_without_signal(order, eta):
    """The first step leaves x0 with noise, the step after it knows no slope yet; all is finite."""
    levels = [Level(0.0, 0.0, 1.0), *(PROCESSES["preserving"](rho) for rho in (3.0, 1.0, 0.3))]
    solver, x0, x, z = DPMMultistep(order, eta), normal(1), normal(2), normal(3)
    state = solver.init(levels)
    result, state = solver.step(lambda x, level: Denoised(x0), x, levels[0], levels[1], state, lambda: z)
    noise = z if eta else x
    torch.testing.assert_close(result, levels[1].alpha * x0 + levels[1].sigma * noise, rtol=0, atol=1e-14)
    for now, next_ in pairwise(levels[1:]):
        result, state = solver.step(lambda x, level: Denoised(x0), result, now, next_, state, lambda: z)
        assert result.isfinite().all()


@pytest.mark.parametrize("order", [0, 4])
def test_order_out_of_range(order):
    with pytest.raises(ValueError, match=f"order must be 1, 2 or 3, not {order}"):
        DPMMultistep(order)


@cases("eta", [-0.1, float("inf"), float("nan")])
def test_eta_out_of_range(eta):
    with pytest.raises(ValueError, match="eta must be at least 0"):
        DPMMultistep(2, eta)


@cases("curvature", [-0.1, 1.1, float("nan")])
def test_curvature_out_of_range(curvature):
    with pytest.raises(ValueError, match="curvature must be between 0 and 1"):
        DPMMultistep(3, curvature=curvature)

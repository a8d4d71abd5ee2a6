"""Our multistep solvers draw what diffusers' schedulers draw, from the same weights, start and noise.

Where theirs do otherwise, it is said at the test. Theirs are float32 in the tables too.
"""

import math
from itertools import pairwise

import pytest
import torch
from diffusers import (
    DEISMultistepScheduler,
    DPMSolverMultistepScheduler,
    IPNDMScheduler,
    UniPCMultistepScheduler,
)

from ddpm.config.network import UNetSettings
from ddpm.core import Denoised, Level, NetworkDenoiser, Parameterisation, prediction
from ddpm.sampling import steps
from ddpm.sampling.deis import DEIS
from ddpm.sampling.dpm_multistep import DPMMultistep
from ddpm.sampling.exponential import bh1, bh2
from ddpm.sampling.grid import trailing
from ddpm.sampling.ipndm import IPNDM
from ddpm.sampling.unipc import UniPC

from .test_samplers_diffusers import SCHEDULE, TrainedLike, pair, start


@pytest.fixture(scope="module")
def nets() -> tuple[TrainedLike, TrainedLike]:
    return pair(UNetSettings(width=64, multipliers=(1, 1, 1, 1), blocks=1))


def their_walk(net, scheduler, n: int) -> list[torch.Tensor]:
    """x after each step of theirs."""
    scheduler.set_timesteps(n)
    noise = (
        {"generator": torch.Generator().manual_seed(1)} if "generator" in scheduler.step.__code__.co_varnames else {}
    )
    x, walk = start(8), []
    for t in scheduler.timesteps:
        x = scheduler.step(net(x, t.reshape(1)), t, x, **noise).prev_sample
        walk.append(x)
    return walk


def our_walk(net, solver, grid: list[Level]) -> list[torch.Tensor]:
    """x after each step of ours."""
    noise, x = torch.Generator().manual_seed(1), start(8)
    denoise = NetworkDenoiser(net, Parameterisation(prediction.eps))
    return [step.x for step in steps(denoise, solver, grid, x, lambda: torch.randn(x.shape, generator=noise))]


def assert_same(theirs: list[torch.Tensor], ours: list[torch.Tensor]) -> None:
    """Any pixel after any step; pixels are of size 1."""
    a, b = torch.stack(theirs), torch.stack(ours)
    assert 0.3 < a[-1].std() < 3
    torch.testing.assert_close(b, a, rtol=0, atol=2e-4)


class Curved(DPMSolverMultistepScheduler):
    """Theirs with a share of the parabola's curvature other than half of it, and its sign put right along the SDE.

    Their D2 is h² x0'' / 2, and is weighed by what h² x0'' weighs, -phi_3 (Lu et al.'s), along the SDE by -phi_3 - 1.
    """

    share: float

    def multistep_dpm_solver_third_order_update(self, model_output_list, *args, sample, noise=None, **kwargs):
        x = super().multistep_dpm_solver_third_order_update(model_output_list, *args, sample=sample, noise=noise)
        levels = [self._sigma_to_alpha_sigma_t(self.sigmas[self.step_index + k]) for k in (1, 0, -1, -2)]
        h, h0, h1 = (math.log(a * t / (s * b)) for (a, s), (b, t) in pairwise(levels))
        m0, m1, m2 = model_output_list[::-1]
        d2 = ((m0 - m1) * h / h0 - (m1 - m2) * h / h1) / ((h0 + h1) / h)
        sde = "sde" in self.config.algorithm_type
        h = 2 * h if sde else h
        phi_3 = (math.expm1(-h) / h + 1) / h - 0.5
        return x + levels[0][0] * (sde - (2 * self.share - 1) * phi_3) * d2


LENGTHS = {1: [8], 2: [8], 3: [8, 20]}
"""Of an order's walks: up to 14 steps theirs fall to lower orders at the end, of which order 3 has two."""


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("curvature", [0.5, 1.0])
@pytest.mark.parametrize(("algorithm", "eta"), [("dpmsolver++", 0.0), ("sde-dpmsolver++", 1.0)])
def test_dpm(nets, algorithm, eta, curvature, order):
    """Without the SDE theirs as it is has half of the curvature. From 15 steps on it is of order 3 in the step before
    the last too."""
    theirs = DPMSolverMultistepScheduler if (eta, curvature) == (0.0, 0.5) else Curved
    for n in LENGTHS[order]:
        scheduler = theirs(
            algorithm_type=algorithm, solver_order=order, timestep_spacing="trailing", final_sigmas_type="zero"
        )
        scheduler.share = curvature
        walk = their_walk(nets[0], scheduler, n)
        ours = our_walk(nets[1], DPMMultistep(order, eta, curvature), trailing(SCHEDULE, n))
        end = -2 if order == 3 and n >= 15 else None
        assert_same(walk[:end], ours[:end])


@pytest.mark.parametrize("b", [bh1, bh2])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_unipc(nets, order, b):
    """Their bh1 is not a number after the step to the clean level."""
    for n in LENGTHS[order]:
        scheduler = UniPCMultistepScheduler(
            solver_order=order, solver_type=b.__name__, timestep_spacing="trailing", final_sigmas_type="zero"
        )
        theirs, ours = their_walk(nets[0], scheduler, n), our_walk(nets[1], UniPC(order, b), trailing(SCHEDULE, n))
        end = -1 if b is bh1 else None
        assert_same(theirs[:end], ours[:end])


@pytest.mark.parametrize("order", [1, 2, 3])
def test_deis(nets, order):
    """Theirs has polynomials in log rho too, but ends at level 1, the least noise, and not clean."""
    scheduler = DEISMultistepScheduler(solver_order=order, timestep_spacing="trailing")
    theirs = their_walk(nets[0], scheduler, 16)
    grid = [*trailing(SCHEDULE, 16)[:-1], SCHEDULE.level(1)]
    assert_same(theirs, our_walk(nets[1], DEIS(order), grid))


def test_ipndm():
    """Theirs is of order 4 alone, and has its own process, ``alpha = cos, sigma = sin``, whose network says v."""
    n = 16
    angles = [0.98 * math.pi / 2 * (1 - i / n) for i in range(n + 1)]
    grid = [Level(0.0, math.cos(a), math.sin(a)) for a in angles]
    scheduler = IPNDMScheduler(n, trained_betas=[level.sigma for level in grid])

    def denoise(x, level, cond=None):
        """The perfect denoiser of a grey that is 1 or -1."""
        return Denoised((level.alpha / level.sigma**2 * x).tanh())

    def v(x, t):
        level = min(grid, key=lambda level: abs(math.asin(level.sigma) / math.pi * 2 - float(t)))
        x0 = denoise(x, level).x0
        return level.alpha * (x - level.alpha * x0) / level.sigma - level.sigma * x0

    ours = [step.x for step in steps(denoise, IPNDM(4), grid, start(8), lambda: start(8))]
    assert_same(their_walk(v, scheduler, n), ours)

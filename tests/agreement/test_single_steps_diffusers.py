"""Our single-step solvers draw what diffusers' schedulers draw, from the same weights, start and noise.

Theirs of k-diffusion's kin work on ``y = x / alpha``, and are float32 in the tables.
"""

from itertools import pairwise

import pytest
import torch
from diffusers import (
    DPMSolverSinglestepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    KDPM2DiscreteScheduler,
)

from cases import cases
from ddpm import build
from ddpm.config.network import UNetSettings
from ddpm.core import Level, NetworkDenoiser, Parameterisation, prediction
from ddpm.core.level import noise_to_signal
from ddpm.core.schedule import level_of
from ddpm.sampling import steps
from ddpm.sampling.flow import part_way
from ddpm.sampling.grid import trailing

from .test_samplers_diffusers import SCHEDULE, TrainedLike, pair, start

STEPS = 12


def between(rho: float) -> Level:
    return level_of(SCHEDULE, rho)


@pytest.fixture(scope="module")
def nets() -> tuple[TrainedLike, TrainedLike]:
    return pair(UNetSettings(width=64, multipliers=(1, 1, 1, 1), blocks=1))


def our_walk(net, name: str, grid: list[Level]) -> list[torch.Tensor]:
    """x after each step of ours."""
    noise, x = torch.Generator().manual_seed(1), start(8)
    denoise = NetworkDenoiser(net, Parameterisation(prediction.eps))
    solver = build.SOLVERS[name](between)
    return [step.x for step in steps(denoise, solver, grid, x, lambda: torch.randn(x.shape, generator=noise))]


def assert_same(theirs: torch.Tensor, ours: torch.Tensor) -> None:
    assert 0.3 < theirs.std() < 3
    torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-4)


@cases(
    ("name", "scheduler"),
    [
        ("euler", EulerDiscreteScheduler),
        ("euler-ancestral", EulerAncestralDiscreteScheduler),
        ("heun", HeunDiscreteScheduler),
    ],
)
def test_in_signal_to_noise(nets, name, scheduler):
    """The end of the walk, the clean level: there y is x."""
    theirs = scheduler(beta_start=1e-4, beta_end=0.02, timestep_spacing="trailing")
    theirs.set_timesteps(STEPS)
    options = {} if name == "heun" else {"generator": torch.Generator().manual_seed(1)}
    grid = trailing(SCHEDULE, STEPS)
    y = start(8) / grid[0].alpha
    for t in theirs.timesteps:
        y = theirs.step(nets[0](theirs.scale_model_input(y, t), t.reshape(1)), t, y, **options).prev_sample
    assert_same(y, our_walk(nets[1], name, grid)[-1])


def at(level: Level) -> torch.Tensor:
    return torch.tensor([level.t], dtype=torch.float32)


def test_dpm_solver_2_is_kdpm2(nets):
    """Its middles are the same. The network is told our time of them, as theirs is interpolated otherwise."""
    theirs = KDPM2DiscreteScheduler(beta_start=1e-4, beta_end=0.02, timestep_spacing="trailing")
    theirs.set_timesteps(STEPS)
    theirs.set_begin_index(0)
    grid = trailing(SCHEDULE, STEPS)
    middles = [part_way(between, now, next, 1 / 2) for now, next in pairwise(grid[:-1])]
    asked = [level for two in zip(grid, middles, strict=False) for level in two] + [grid[-2]]
    y = start(8) / grid[0].alpha
    for t, level in zip(theirs.timesteps, asked, strict=True):
        y = theirs.step(nets[0](level.alpha * y, at(level)), t, y).prev_sample
    assert_same(y, our_walk(nets[1], "dpm-solver-2", grid)[-1])


@pytest.mark.parametrize(
    ("name", "algorithm", "order"),
    [("dpm-solver-2", "dpmsolver", 2), ("dpm-solver-3", "dpmsolver", 3), ("dpm++-2s", "dpmsolver++", 2)],
)
def test_dpm_solver(nets, name, algorithm, order):
    """Up to the last noisy level, as theirs has no step to the clean one in the noise.

    The points between ours are steps of its grid to theirs, and are given to it. Lu et al.'s rule for the point at two
    thirds, in alg. 2, is what it calls heun; that for the end of the step what it calls midpoint.
    """
    grid = trailing(SCHEDULE, STEPS)[:-1]
    asked = [part_way(between, now, next, i / order) for now, next in pairwise(grid) for i in range(order)]
    theirs = DPMSolverSinglestepScheduler(
        beta_start=1e-4, beta_end=0.02, algorithm_type=algorithm, solver_order=order, final_sigmas_type="sigma_min"
    )
    theirs.set_timesteps(len(asked) + 1)
    theirs.set_begin_index(0)
    theirs.sigmas = torch.tensor([*map(noise_to_signal, [*asked, grid[-1]]), 0], dtype=torch.float64)
    assert theirs.order_list[:-1] == list(range(1, order + 1)) * (STEPS - 1)
    x, walk = start(8), []
    for i, level in enumerate(asked):
        theirs.register_to_config(solver_type="heun" if (order, i % order) == (3, 1) else "midpoint")
        x = theirs.step(nets[0](x.float(), at(level)), theirs.timesteps[i], x).prev_sample
        walk.append(x.float())
    ours = our_walk(nets[1], name, grid)
    assert_same(torch.stack(walk[order - 1 :: order]), torch.stack(ours))

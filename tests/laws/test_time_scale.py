"""A time scale changes what the network is fed, everywhere, and nothing else."""

import math

import pytest
import torch

from cases import cases
from ddpm import build
from ddpm.config.diffusion import DiffusionConfig
from ddpm.config.sampling import SamplingConfig
from ddpm.core import Cond, NetworkDenoiser, Parameterisation, Schedule, prediction
from ddpm.core.schedule import TimeScaled, level_of, timestep_of
from ddpm.guidance.classifier import ClassGradient
from ddpm.metrics.likelihood import ProbabilityFlow
from ddpm.objectives import SimpleLoss
from ddpm.objectives.bound import bound, every_pair, sampled_pairs
from ddpm.planning.recipes.nichol2021 import nichol2021
from ddpm.sampling import SampleNoise, rows_of, sample
from ddpm.sampling.grid import uniform

QUARTER = 0.25
"""A power of two, by which no digit of t is lost."""
ASK = Parameterisation(prediction.v)
X0 = torch.linspace(-1, 1, 4 * 6).reshape(4, 1, 2, 3)


class Clock:
    """A network whose answer depends on the time it is fed, after multiplying it by a factor."""

    def __init__(self, factor: float):
        self.factor = factor

    def __call__(self, x: torch.Tensor, t: torch.Tensor, cond: Cond | None = None) -> torch.Tensor:
        return torch.tanh(x + (self.factor * t / 40).sin().reshape(-1, 1, 1, 1))


def noise() -> SampleNoise:
    return SampleNoise(rows_of(0, range(len(X0))), tuple(X0.shape[1:]))


def test_nichol2021_feeds_its_network_what_the_original_does() -> None:
    """0 … 999.75 by ``t.float() * (1000.0 / num_timesteps)``."""
    (rung,) = nichol2021((32, 32), False)
    schedule = build.build_schedule(DiffusionConfig.model_validate(rung.tree["diffusion"]))
    fed = schedule.levels(torch.arange(1, 4001)).t.float()
    assert torch.equal(fed, torch.arange(4000).float() * (1000.0 / 4000))
    assert [schedule.level(i).t for i in (1, 2, 4000)] == [0, 0.25, 999.75]


@cases("name", build.SCHEDULES)
def test_the_process_stays_as_it_is(name: str) -> None:
    """Levels of floats and of a batch, at ticks and between them; a ratio leads to the same timestep."""
    plain, scaled = (build.build_schedule(DiffusionConfig(schedule=name, T=20, time_scale=s)) for s in (1.0, QUARTER))  # type: ignore[arg-type]
    assert scaled.T == 20
    for timestep in (0, 1, 7.3, 20):
        before, after = plain.level(timestep), scaled.level(timestep)
        assert (after.t, after.alpha, after.sigma) == (QUARTER * before.t, before.alpha, before.sigma)
        assert timestep_of(scaled, after) == timestep_of(plain, before)
        if timestep:
            ratio = before.sigma / before.alpha if before.alpha else math.inf
            assert level_of(scaled, ratio).t == QUARTER * level_of(plain, ratio).t
    many, same = (schedule.levels(torch.tensor([1, 20, 7])) for schedule in (plain, scaled))
    assert torch.equal(same.t, QUARTER * many.t)
    assert torch.equal(same.alpha, many.alpha)
    assert torch.equal(same.sigma, many.sigma)


def pairs_of(schedule: Schedule, factor: float) -> tuple[Schedule, NetworkDenoiser]:
    return schedule, NetworkDenoiser(Clock(factor), ASK)


@pytest.fixture(params=["linear", "vp", "edm"])
def both(request: pytest.FixtureRequest) -> list[tuple[Schedule, NetworkDenoiser]]:
    """A process and a network; and the process at a quarter of the time, with the network that multiplies it by 4."""
    schedule = build.SCHEDULES[request.param](50)
    return [pairs_of(schedule, 1.0), pairs_of(TimeScaled(schedule, QUARTER), 4.0)]


@cases("solver", ["ddim", "ancestral", "edm", "dpm-solver-2", "dpm++-2s", "unipc-2", "adaptive"])
@cases("grid", ["trailing", "karras"])
def test_samples(grid: str, solver: str, both: list[tuple[Schedule, NetworkDenoiser]]) -> None:
    """Bit for bit, also where a solver goes to levels between those of its grid."""
    how = SamplingConfig.of(solver=solver, grid=grid, steps=6)
    one, other = (
        sample(denoise, build.build_solver(how, schedule), build.build_grid(how, schedule), noise())
        for schedule, denoise in both
    )
    assert torch.equal(one, other)


def test_losses(both: list[tuple[Schedule, NetworkDenoiser]]) -> None:
    timesteps = torch.tensor([1, 7, 30, 50])
    one, other = (SimpleLoss(ASK)(denoise.net, X0, noise()(), s.levels(timesteps)) for s, denoise in both)
    assert torch.equal(one, other)


@cases("terms", [None, 5])
def test_bounds(terms: int | None, both: list[tuple[Schedule, NetworkDenoiser]]) -> None:
    found = []
    for schedule, denoise in both:
        grid = uniform(schedule, 20)
        u = torch.rand(len(X0), terms or 1, generator=torch.Generator().manual_seed(0))
        found.append(bound(denoise, X0, grid, noise(), pairs=sampled_pairs(grid, u) if terms else every_pair(grid)))
    assert torch.equal(found[0].terms, found[1].terms)


def test_densities(both: list[tuple[Schedule, NetworkDenoiser]]) -> None:
    one, other = (
        ProbabilityFlow(denoise, s, 1e-3, 1e-3).log_density(X0, torch.ones(1, *X0.shape))[0] for s, denoise in both
    )
    assert torch.equal(one, other)


def test_a_classifiers_gradient(both: list[tuple[Schedule, NetworkDenoiser]]) -> None:
    labels = torch.tensor([0, 1, 0, 1])
    one, other = (
        ClassGradient(lambda x, level, net=denoise.net: ASK.ask(net, x, level).output.flatten(1)[:, :2], labels, 1.0)(
            X0, s.level(20)
        )
        for s, denoise in both
    )
    assert torch.equal(one, other)


@cases("scale", [0.0, -1.0, math.inf, math.nan])
def test_no_such_scale(scale: float) -> None:
    with pytest.raises(ValueError, match="above 0 and finite"):
        TimeScaled(build.SCHEDULES["linear"](5), scale)
    with pytest.raises(ValueError, match=r"time_scale\n.*must be above 0 and finite"):
        DiffusionConfig(time_scale=scale)

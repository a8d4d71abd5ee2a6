"""From a solver's many steps to a student's few: on data whose flow is known exactly."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
import torch

from ddpm.core import Level, Parameterisation, Schedule, discrete, prediction
from ddpm.core.continuous import Continuous, EDMProcess, Flow
from ddpm.core.model import Model
from ddpm.core.stream import RowStreams
from ddpm.objectives.distillation import Distillation, StudentPath
from ddpm.sampling import DDIM, no_noise, steps
from ddpm.sampling.grid import divided
from ddpm.sampling.unipc import UniPC
from laws.exact import Gaussian

DATA = Gaussian(torch.tensor([0.3, -0.2, 0.1]).double(), torch.diag(torch.tensor([0.3, 0.1, 0.05])).double())
SCHEDULES = {"cosine": discrete.cosine(1000), "edm": Continuous(EDMProcess()), "flow": Continuous(Flow())}
VISITS = (1000.0, 650.0, 354.0, 125.0)


def levels(schedule: Schedule) -> list[Level]:
    return [schedule.level(timestep) for timestep in (*VISITS, 0)]


def taught(schedule: Schedule, number: int, x: torch.Tensor) -> Iterator[torch.Tensor]:
    """A teacher's trajectory by its solver."""
    fine, coarse = [schedule.level(timestep) for timestep in (*divided(VISITS, number), 0)], levels(schedule)[1:]
    for step in steps(DATA, UniPC(2), fine, x, no_noise):
        if step.level in coarse:
            yield step.x


def exact(schedule: Schedule, x: torch.Tensor) -> Iterator[torch.Tensor]:
    for now, next in pairwise(levels(schedule)):
        x = DATA.flow(x, now, next)
        yield x


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_teachers_points_converge_to_the_flow(name: str) -> None:
    """At every noisy level by the square of the number of steps; the last step begins at the first tick, or above."""
    schedule = SCHEDULES[name]
    x = levels(schedule)[0].sigma * torch.randn(64, 3, 1, generator=torch.Generator().manual_seed(0)).double()
    errors = []
    for number in (64, 128, 256):
        both = zip(taught(schedule, number, x), exact(schedule, x), strict=True)
        errors.append(torch.stack([(a - b).square().mean().sqrt() for a, b in both]))
    assert bool((errors[-1] < 1e-3).all())
    assert bool((errors[-1][:-1] < errors[0][:-1] / 6).all())


class Student(torch.nn.Module):
    """The x0 at each level whose DDIM step goes where a map goes."""

    def __init__(self, schedule: Schedule) -> None:
        super().__init__()
        self.levels, self.scale = levels(schedule), torch.nn.Parameter(torch.ones(()))

    def forward(self, x: torch.Tensor, t: torch.Tensor, cond: object = None) -> torch.Tensor:
        now, next = next_(self.levels, float(t[0]))
        c = next.sigma / now.sigma
        y = DATA.flow(x.double(), now, next)
        return self.scale * ((y - c * x) / (next.alpha - c * now.alpha)).to(x)


def next_(grid: list[Level], t: float) -> tuple[Level, Level]:
    return min(pairwise(grid), key=lambda pair: abs(pair[0].t - t))


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_flow_itself_is_as_far_from_a_teacher_as_its_solver_errs(name: str) -> None:
    """And from no other student's: the loss has its minimum there."""
    schedule = SCHEDULES[name]

    def step(denoise, x, now, next):
        return DDIM().step(denoise, x, now, next, None, no_noise)[0]

    def teacher(x: torch.Tensor, conditions: object) -> Iterator[torch.Tensor]:
        return (point.float() for point in taught(schedule, 256, x.double()))

    made = Distillation(
        (StudentPath(VISITS, tuple(levels(schedule))),), (3, 1), teacher, Parameterisation(prediction.x0), step
    )
    net = Student(schedule)
    images, draws = torch.zeros(32, 1), made.draws(RowStreams(1, 0, 32, range(32)), None)

    def loss(scale: float) -> float:
        with torch.no_grad():
            net.scale.fill_(scale)
            return float(made.losses(Model(net), images, {}, draws).mean())

    assert loss(1.0) < 1e-4
    assert min(loss(0.95), loss(1.05)) > 20 * loss(1.0)

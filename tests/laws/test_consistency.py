"""A consistency student and its sampling, on data whose flow is known exactly."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from cases import cases
from ddpm.core import Cond, Denoised, Level, Parameterisation, Schedule, discrete, prediction
from ddpm.core.condition import Conditions
from ddpm.core.continuous import Continuous, EDMProcess, Flow
from ddpm.core.model import Model
from ddpm.core.prediction import x0_from_output
from ddpm.core.stream import RowStreams
from ddpm.objectives.consistency import ConsistencyDistillation, MidTraining, Tuning
from ddpm.objectives.distillation import StudentPath
from ddpm.sampling import DDIM
from ddpm.sampling.consistency import Consistency as Sampling

from .affine import distribution
from .exact import Gaussian

DATA = Gaussian(torch.tensor([0.3, -0.2, 0.1]).double(), torch.diag(torch.tensor([0.3, 0.1, 0.05])).double())
SCHEDULES = {"cosine": discrete.cosine(1000), "edm": Continuous(EDMProcess()), "flow": Continuous(Flow())}
VISITS = (1000.0, 650.0, 354.0, 125.0, 40.0)
OWN = (1000.0, 354.0)
CLEAN = Level(0.0, 1.0, 0.0)
STEPS = 40


def end(x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
    """The perfect consistency function: the flow to the clean end, for levels of floats."""
    return Denoised(DATA.flow(x, level, CLEAN))


@cases("schedule", SCHEDULES)
@cases("steps", [1, 2, 4])
def test_samples_of_the_perfect_function_are_like_the_data(schedule: str, steps: int) -> None:
    """In any number of steps, but for what the noisiest level keeps of the data; DDIM's are not."""
    made = SCHEDULES[schedule]
    grid = [made.level(timestep) for timestep in (*VISITS[:steps], 0)]
    mean, cov = distribution(end, Sampling(), grid, 3)
    torch.testing.assert_close(mean, DATA.mean, rtol=0, atol=0.01)
    torch.testing.assert_close(cov, DATA.cov, rtol=0, atol=1e-3)
    if steps > 2:  # DDIM's first step, from pure noise, keeps nothing either
        _, cov = distribution(end, DDIM(1.0), grid, 3)
        assert float((cov - DATA.cov).abs().max()) > 3e-3


@cases("kind", ["eps", "v", "flow", "edm"])
def test_the_boundary_condition_holds_for_any_output(kind: str) -> None:
    known = {"eps": prediction.eps, "v": prediction.v, "flow": prediction.flow, "edm": prediction.EDMPrediction()}
    x, output = torch.randn(2, 4, 3, 1, generator=torch.Generator().manual_seed(0)).double()
    assert torch.equal(x0_from_output(known[kind], output, x, CLEAN), x)


class Flows(nn.Module):
    """The perfect consistency function, in x0, with an error; a level is known by the t that the network is fed."""

    def __init__(self, schedule: Schedule, error: float = 0.0) -> None:
        super().__init__()
        self.error = nn.Parameter(torch.tensor(error))
        ticks = [schedule.level(t) for t in range(1, schedule.T + 1)]
        self.levels = {torch.tensor(level.t, dtype=torch.float32).item(): level for level in ticks}

    def forward(self, x: torch.Tensor, t: torch.Tensor, cond: object = None) -> torch.Tensor:
        # a network is asked about clean rows too, next to noisy ones; what it says of them is not used
        levels = [self.levels.get(time, CLEAN) for time in t.tolist()]
        ends = [DATA.flow(one[None], level, CLEAN)[0] for one, level in zip(x.double(), levels, strict=True)]
        noise = torch.tensor([float(level.sigma / math.hypot(level.alpha, level.sigma)) for level in levels])
        return torch.stack(ends).to(x) + self.error * (1 + noise.reshape(-1, 1, 1))


def trajectory(schedule: Schedule):
    def of(x: torch.Tensor, conditions: Conditions):
        first = schedule.level(VISITS[0])
        return (DATA.flow(x.double(), first, schedule.level(t)).to(x) for t in (*VISITS[1:], 0))

    return of


def estimate(x: torch.Tensor, level: Level, conditions: Conditions) -> torch.Tensor:
    return DATA(x.double(), level).x0.to(x)


def objective(name: str = "cosine") -> ConsistencyDistillation:
    schedule, ask = SCHEDULES[name], Parameterisation(prediction.x0)
    path = StudentPath(VISITS, tuple(schedule.level(timestep) for timestep in (*VISITS, 0)))
    first = MidTraining(path, OWN, (3, 1), trajectory(schedule), ask)
    return ConsistencyDistillation(
        first, Tuning(schedule, estimate, ask, lambda stored, streams: stored, (STEPS // 2, STEPS)), 0.5
    )


def images(n: int) -> torch.Tensor:
    noise = torch.randn(n, 3, 1, generator=torch.Generator().manual_seed(0))
    return DATA.mean[:, None].float() + DATA.cov.float().sqrt() @ noise


def losses(made: ConsistencyDistillation, net: nn.Module, step: int, rows: range = range(32)) -> torch.Tensor:
    draws = made.draws(RowStreams(1, step, 32, rows), made.history())
    return made.losses(Model(net), images(32)[rows.start : rows.stop], {}, draws)


@cases("name", SCHEDULES)
def test_the_flow_costs_nothing_in_the_first_stage(name: str) -> None:
    net = Flows(SCHEDULES[name])
    with torch.no_grad():
        assert float(losses(objective(name), net, 0).max()) < 1e-4
        net.error.fill_(0.1)
        assert float(losses(objective(name), net, 0).min()) > 0.05


@cases("name", SCHEDULES)
def test_the_flow_is_as_inconsistent_as_a_step_of_the_teacher_errs(name: str) -> None:
    """Less as the levels come closer; a function that differs between levels is more so."""
    net, made = Flows(SCHEDULES[name]), objective(name)
    with torch.no_grad():
        early, late = (float(losses(made, net, step).mean()) for step in (STEPS // 2, STEPS - 1))
        assert late < 0.8 * early
        net.error.fill_(0.3)
        assert float(losses(made, net, STEPS - 1).mean()) > 1.5 * late


def test_levels_come_closer_as_training_proceeds() -> None:
    made, seen = objective(), []
    for step in (STEPS // 2, STEPS - 1):
        now, next = made.draws(RowStreams(1, step, 512, range(512)), None).timesteps.mT
        assert bool(((next >= 0) & (next < now) & (now <= 1000)).all())
        noisy = now > 600
        seen.append(float(((now - next) / now)[noisy].mean()))
    assert seen[0] == pytest.approx(2**-4 * 1.8, rel=0.3)
    assert seen[0] / seen[1] == pytest.approx(2, rel=0.1)


def test_the_nearer_level_has_no_gradient() -> None:
    """The gradient is that of the loss with its target as a constant."""
    net, made = Flows(SCHEDULES["cosine"], 0.2), objective()
    losses(made, net, STEPS - 1).sum().backward()
    frozen = Flows(SCHEDULES["cosine"], 0.2)
    found = []
    for shift in (-1e-3, 1e-3):
        with torch.no_grad():
            frozen.error.fill_(0.2 + shift)
            found.append(float(losses(made, frozen, STEPS - 1).sum()))
    both_move = (found[1] - found[0]) / 2e-3
    assert float(net.error.grad) > 3 * abs(both_move)  # type: ignore[arg-type]


@cases("step", [0, STEPS - 1])
def test_rows_depend_on_their_own_number_only(step: int) -> None:
    net, made = Flows(SCHEDULES["cosine"], 0.1), objective()
    whole = losses(made, net, step)
    assert torch.equal(losses(made, net, step, range(8, 16)), whole[8:16])
    assert not torch.equal(losses(made, net, step + (-1 if step else 1)), whole)


def test_held_out_points_are_fixed_and_at_the_students_levels() -> None:
    made = objective()
    bins = [(timestep, draws.timesteps[0].tolist()) for timestep, draws in made.held_out(3, 4, 8)]
    assert [timestep for timestep, _ in bins] == [1000, 650, 354, 40]
    [(_, (*points,))] = [(t, d.timesteps[0].tolist()) for t, d in made.held_out(3, 4, 1)]
    assert points == [1000.0, 650.0, 354.0, 40.0]


def test_held_out_images_are_of_the_first_stage_whatever_is_trained() -> None:
    """Also where no condition is ever dropped, and where all training is tuning."""
    net, made = Flows(SCHEDULES["cosine"]), objective()
    only = replace(made, second=replace(made.second, steps=(0, STEPS)), tuning=1.0)
    found = []
    for one in (made, only):
        (_, draws), *_ = one.held_out(0, 4, 2)
        with torch.no_grad():
            found.append(one.losses(Model(net), images(4), {}, draws))
    assert torch.equal(*found)

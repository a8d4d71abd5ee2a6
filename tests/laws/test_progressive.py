"""One step of a student for two of its teacher: on data whose denoiser is known exactly."""

import pytest
import torch

from ddpm.core import Level, Parameterisation, Schedule, discrete, prediction
from ddpm.core.condition import Conditions
from ddpm.core.continuous import Continuous, EDMProcess, Flow
from ddpm.core.gaussian import ddim
from ddpm.core.model import Model
from ddpm.core.stream import RowStreams
from ddpm.objectives.progressive import Progressive, implied
from ddpm.objectives.simple import SimpleLoss
from ddpm.objectives.weighting import truncated_snr
from ddpm.sampling import DDIM, no_noise
from laws.exact import Gaussian

DATA = Gaussian(torch.tensor([0.3, -0.2, 0.1]).double(), torch.diag(torch.tensor([0.3, 0.1, 0.05])).double())
SCHEDULES = {
    "cosine": discrete.cosine(1000),
    "from pure noise": discrete.zero_terminal_snr(discrete.linear(1000)),
    "edm": Continuous(EDMProcess()),
    "flow": Continuous(Flow()),
}
VISITS = (1000.0, 750.0, 500.0, 250.0, 125.0, 40.0)
"""Six steps of the teacher, three of the student."""


def estimate(x: torch.Tensor, level: Level, conditions: Conditions) -> torch.Tensor:
    return DATA(x.double(), level).x0


def two_steps(schedule: Schedule, x: torch.Tensor, first: int) -> torch.Tensor:
    """Where the solver that samples goes."""
    for k in (first, first + 1):
        now, next = (schedule.level([*VISITS, 0.0][i]) for i in (k, k + 1))
        x, _ = DDIM().step(DATA, x, now, next, None, no_noise)
    return x


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("first", [0, 2, 4])
def test_one_step_with_the_target_is_two_of_the_teacher(name: str, first: int) -> None:
    """The last one ends clean."""
    schedule = SCHEDULES[name]
    now, end = (schedule.level([*VISITS, 0.0][i]) for i in (first, first + 2))
    x = torch.randn(64, 3, 1, generator=torch.Generator().manual_seed(0)).double() * now.sigma
    y = two_steps(schedule, x, first)
    x0 = implied(x, y, now, end)
    torch.testing.assert_close(ddim(x, x0, now, end), y, atol=1e-9, rtol=1e-9)
    (solved, _) = DDIM().step(lambda x, level: DATA(x, level)._replace(x0=x0), x, now, end, None, no_noise)
    torch.testing.assert_close(solved, y, atol=1e-9, rtol=1e-9)


class Student(torch.nn.Module):
    """Answers with the x0 that takes both steps of the teacher at once, and an error."""

    def __init__(self, schedule: Schedule) -> None:
        super().__init__()
        self.schedule, self.error = schedule, torch.nn.Parameter(torch.zeros(()))

    def forward(self, x: torch.Tensor, t: torch.Tensor, cond: object = None) -> torch.Tensor:
        answers = []
        for one, time in zip(x.double(), t.tolist(), strict=True):
            times = [float(self.schedule.level(timestep).t) for timestep in VISITS]
            first = min(range(len(VISITS)), key=lambda i: abs(times[i] - time))
            now, end = (self.schedule.level([*VISITS, 0.0][i]) for i in (first, first + 2))
            answers.append(implied(one[None], two_steps(self.schedule, one[None], first), now, end)[0])
        return torch.stack(answers).to(x) + self.error


@pytest.mark.parametrize("name", ["cosine", "flow"])
def test_the_loss_is_the_squared_error_by_the_truncated_snr(name: str) -> None:
    """Zero for a student that takes both steps at once, at whichever levels the images are."""
    schedule = SCHEDULES[name]
    net, images = Student(schedule), torch.randn(32, 3, 1, generator=torch.Generator().manual_seed(1))
    loss = SimpleLoss(Parameterisation(prediction.x0), truncated_snr)
    made = Progressive(schedule, VISITS, estimate, loss, lambda stored, streams: stored)
    draws = made.draws(RowStreams(1, 0, 32, range(32)), None)
    assert {*draws.timesteps.tolist()} == {*VISITS[::2]}
    with torch.no_grad():
        assert float(made.losses(Model(net), images, {}, draws).max()) < 1e-6
        net.error.fill_(0.1)
        found = made.losses(Model(net), images, {}, draws)
    snr = [float(schedule.level(timestep).snr) for timestep in draws.timesteps.tolist()]
    wanted = torch.tensor([0.01 * max(1.0, ratio) for ratio in snr])
    torch.testing.assert_close(found.float(), wanted, rtol=5e-3, atol=1e-5)

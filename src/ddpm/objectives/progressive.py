"""Progressive distillation: a student whose one step takes two of its teacher."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch

from ddpm.core import Level, Schedule, scale
from ddpm.core.condition import Conditions
from ddpm.core.gaussian import ddim, diffuse
from ddpm.core.level import weighted_sum
from ddpm.core.model import Model
from ddpm.core.seed import derive
from ddpm.core.stream import RowStreams
from ddpm.objectives.distillation import student_conditions
from ddpm.objectives.level_sampling import LossHistory
from ddpm.objectives.objective import Draws, Encode, hidden_rows
from ddpm.objectives.simple import SimpleLoss

TeacherEstimate = Callable[[torch.Tensor, Level, Conditions], torch.Tensor]
"""(x (B, C, *space), its levels, raw conditions) -> the teacher's x0, without gradient."""


@dataclass(frozen=True, slots=True)
class Progressive:
    """The objective of one stage of progressive distillation (Salimans & Ho 2022, alg. 2).

    From noised data x_t at a level of the student, the teacher takes two steps of DDIM, to x_s at the student's next
    level. The target is the x0 from which one step leads there; see :func:`implied`.

    Attributes:
        schedule: the forward process.
        timesteps: the teacher's, falling; the student's are every other one.
        teacher: the teacher's estimate of x0.
        loss: the error of the student's output, weighted by the truncated SNR.
        encode: maps stored images to x0 (B, C, *space).
        dropout: the fraction of images whose conditions are dropped, for student and teacher.
        guidance: the lowest and highest guidance scale; None for a teacher of one.
        seed: the seed of the noise, with the one of training.
    """

    schedule: Schedule
    timesteps: tuple[float, ...]
    teacher: TeacherEstimate
    loss: SimpleLoss
    encode: Encode
    dropout: float = 0.0
    guidance: tuple[float, float] | None = None
    seed: int = 0

    def history(self) -> LossHistory | None:
        return None

    def draws(self, streams: RowStreams, history: LossHistory | None) -> Draws:
        streams = replace(streams, seed=derive(streams.seed, "distillation", self.seed))
        own = torch.tensor(self.timesteps[::2], dtype=torch.float64)
        drawn = own[streams.whole("levels").integers(len(own), streams.batch)]
        hidden = hidden_rows(streams.uniform("hidden"), self.dropout)
        return Draws.unweighted(drawn[streams.selection], hidden, streams, augmented=False)

    def held_out(self, seed: int, n: int, bins: int) -> Iterator[tuple[int, Draws]]:
        """Yield fixed draws for n images at up to ``bins`` of the student's levels."""
        own = self.timesteps[::2]
        bins = min(bins, len(own))
        for k in range(bins):
            timestep = own[k * len(own) // bins]
            timesteps = torch.full((n,), timestep, dtype=torch.float64)
            streams = RowStreams(derive(seed, "held out"), k, n, range(n))
            yield round(timestep), Draws.unweighted(timesteps, None, streams, augmented=False)

    def losses(self, model: Model, images: torch.Tensor, conditions: Conditions, draws: Draws) -> torch.Tensor:
        conditions = student_conditions(model, conditions, draws, self.guidance, images.device)
        x0 = self.encode(images, draws.streams).contiguous(memory_format=model.layout)
        now, middle, end = self._levels(draws.timesteps)
        x = diffuse(x0, draws.streams.normal("noise", x0.shape[1:]).to(x0.device), now)
        with torch.no_grad():
            halfway = ddim(x, self.teacher(x, now, conditions), now, middle)
            target = implied(x, ddim(halfway, self.teacher(halfway, middle, conditions), middle, end), now, end)
            eps = scale(1 / now.sigma, x) - scale(now.alpha / now.sigma, target)
        output = self.loss.parameterisation.ask(model.net, x, now, model.cond(conditions, len(x))).output
        return self.loss.error(output, target, eps, now)

    def _levels(self, timesteps: torch.Tensor) -> tuple[Level, Level, Level]:
        """The levels of the images (B,), and those after one and two steps of the teacher."""
        visited = torch.tensor([*self.timesteps, 0.0], dtype=torch.float64)
        first = (visited[None] == timesteps[:, None]).long().argmax(1)
        now, middle, end = (self.schedule.levels(visited[first + k]) for k in range(3))
        return now, middle, end


def implied(x: torch.Tensor, y: torch.Tensor, now: Level, next: Level) -> torch.Tensor:
    """The x0 with which :func:`ddim` leads from x to y, ``(y - c · x) / (alpha_s - c · alpha_t)`` with
    ``c = sigma_s / sigma_t`` (Salimans & Ho 2022, alg. 2)."""
    c = next.sigma / now.sigma
    weight = next.alpha - c * now.alpha
    return weighted_sum(1 / weight, y, -c / weight, x)

"""Trajectory distillation: a student whose few steps follow the many-step trajectory of its teacher."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import torch

from ddpm.core import Denoised, Level, Parameterisation
from ddpm.core.condition import Conditions
from ddpm.core.model import Model
from ddpm.core.seed import derive
from ddpm.core.stream import RowStreams
from ddpm.objectives.level_sampling import LossHistory
from ddpm.objectives.objective import Draws

TeacherTrajectory = Callable[[torch.Tensor, Conditions], Iterable[torch.Tensor]]
"""(x at the noisiest level (B, C, *space), raw conditions) -> the teacher's x at each further level, no gradient."""
SolverStep = Callable[[Callable[[torch.Tensor, Level], Denoised], torch.Tensor, Level, Level], torch.Tensor]
"""(denoiser, x, level, next level) -> x at the next level: a step of a solver with one network call and no memory."""
Distance = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(x, y), both (B, C, *space) -> (B,)."""

ROUND = 0.03
"""The root mean square below which :func:`pseudo_huber` is quadratic, in units of [-1, 1]."""


def pseudo_huber(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """``sqrt(m + c²) - c``, m being the mean of (x - y)² over an image (Song & Dhariwal 2023, sec. 3.3).

    This is the root of m, made smooth near 0. Images far from the teacher's, which no few steps can reach, weigh no
    more than others.
    """
    return ((x - y).square().flatten(1).mean(1) + ROUND**2).sqrt() - ROUND


@dataclass(frozen=True, slots=True)
class Distillation:
    """The objective of a student (Zhou et al. 2024, "Simple and Fast Distillation of Diffusion Models").

    From noise x_K at the first of the levels K … 0, both go down to the last, which is clean: the teacher by a solver's
    many steps to y_k, the student by one step from each level to the next,

        x_(k-1) = step(student, stop_gradient(x_k)),   loss = mean over k of d(x_(k-1), y_(k-1)).

    The student starts each step where its own step before ended, as in sampling, and so learns to correct its errors.
    The targets do not depend on it. The images of a batch are not used, only their conditions.

    Attributes:
        timesteps: those of the K noisy levels, falling.
        levels: the K noisy levels and the clean one.
        shape: (C, *space) of x.
        teacher: the teacher's trajectory.
        parameterisation: how the student is called.
        step: a step of the student's solver.
        dropout: the fraction of images whose conditions are dropped, for student and teacher.
        seed: the seed of the noise, with the one of training.
        distance: the distance from the teacher at a level.
    """

    timesteps: tuple[float, ...]
    levels: tuple[Level, ...]
    shape: tuple[int, ...]
    teacher: TeacherTrajectory
    parameterisation: Parameterisation
    step: SolverStep
    dropout: float = 0.0
    seed: int = 0
    distance: Distance = pseudo_huber

    def history(self) -> LossHistory | None:
        return None

    def draws(self, streams: RowStreams, history: LossHistory | None) -> Draws:
        streams = replace(streams, seed=derive(streams.seed, "distillation", self.seed))
        return self._draws(self.timesteps, streams, streams.uniform("hidden") < self.dropout)

    def held_out(self, seed: int, n: int, bins: int) -> Iterator[tuple[int, Draws]]:
        """Yield fixed noise for n images, with the steps of each level; those of neighbours share a bin if need be."""
        streams, steps = RowStreams(derive(seed, "held out"), 0, n, range(n)), len(self.timesteps)
        bins = min(bins, steps)
        for k in range(bins):
            some = self.timesteps[k * steps // bins : (k + 1) * steps // bins]
            yield round(some[0]), self._draws(some, streams, None)

    def losses(self, model: Model, images: torch.Tensor, conditions: Conditions, draws: Draws) -> torch.Tensor:
        wanted = set(draws.timesteps[0].tolist())
        if draws.hidden is not None:
            conditions = model.drop(conditions, draws.hidden.to(images.device))
        x = self.levels[0].sigma * draws.streams.normal("noise", self.shape).to(images.device)
        x = x.contiguous(memory_format=model.layout)
        denoise = partial(model.denoiser(self.parameterisation), cond=model.cond(conditions, len(x)))
        total, of = torch.zeros(len(x), device=x.device), len(wanted)
        steps = zip(self.timesteps, pairwise(self.levels), self.teacher(x, conditions), strict=True)
        for timestep, (now, next), y in steps:
            with torch.set_grad_enabled(torch.is_grad_enabled() and timestep in wanted):
                x = self.step(denoise, x.detach(), now, next)
            if timestep in wanted:
                total = total + self.distance(x, y) / of
                wanted.remove(timestep)
            if not wanted:
                break
        return total

    def _draws(self, timesteps: tuple[float, ...], streams: RowStreams, hidden: torch.Tensor | None) -> Draws:
        n = len(streams.rows)
        each = torch.tensor(timesteps, dtype=torch.float64).expand(n, -1)
        return Draws(each, torch.ones(n, dtype=torch.float64), hidden, streams, augmented=False)

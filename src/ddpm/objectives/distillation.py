"""Trajectory distillation: a student whose few steps follow the many-step trajectory of its teacher."""

from collections.abc import Callable, Iterable, Iterator, Mapping
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
from ddpm.objectives.objective import Draws, hidden_rows

TeacherTrajectory = Callable[[torch.Tensor, Conditions], Iterable[torch.Tensor]]
"""(x at the noisiest level (B, C, *space), raw conditions) -> the teacher's x at each further level of any path, from
noisy to clean, without gradient."""
SolverStep = Callable[[Callable[[torch.Tensor, Level], Denoised], torch.Tensor, Level, Level], torch.Tensor]
"""(denoiser, x, level, next level) -> x at the next level: a step of a solver with one network call and no memory."""

ROUND = 0.03
"""The root mean square below which :func:`pseudo_huber` is quadratic, in units of [-1, 1]."""


def pseudo_huber(x: torch.Tensor, y: torch.Tensor, c: float = ROUND) -> torch.Tensor:
    """``sqrt(m + c²) - c``, m being the mean of (x - y)² over an image (Song & Dhariwal 2023, sec. 3.3).

    This is the root of m, made smooth near 0. Images far from the teacher's, which no few steps can reach, weigh no
    more than others.
    """
    return ((x - y).square().flatten(1).mean(1) + c**2).sqrt() - c


def student_conditions(
    model: Model,
    conditions: Conditions,
    draws: Draws,
    guidance: tuple[float, float] | None,
    device: torch.device,
) -> Conditions:
    """The raw conditions, (B, …) each, of student and teacher: some are dropped.

    Args:
        guidance: the lowest and highest guidance scale, between which each image draws its own (Meng et al. 2023, sec.
            3.1); None for a teacher of one.
    """
    if draws.hidden is not None:
        conditions = model.drop(conditions, draws.hidden.to(device), draws.streams)
    if guidance is not None:
        low, high = guidance
        scales = low + (high - low) * draws.streams.uniform("guidance").to(device)
        conditions = {**conditions, "guidance": scales}
    return conditions


@dataclass(frozen=True, slots=True)
class StudentPath:
    """The steps of a student.

    Attributes:
        timesteps: those of the K noisy levels, falling.
        levels: the K noisy levels and the clean one.
    """

    timesteps: tuple[float, ...]
    levels: tuple[Level, ...]

    def end(self, timestep: float) -> float:
        """The timestep at which the step from one ends."""
        return (*self.timesteps, 0.0)[self.timesteps.index(timestep) + 1]


@dataclass(frozen=True, slots=True)
class Distillation:
    """The objective of a student (Zhou et al. 2024, "Simple and Fast Distillation of Diffusion Models").

    From noise x_K at the first of the levels K … 0, both go down to the last, which is clean: the teacher by a solver's
    many steps to y_k, the student by one step from each level to the next,

        x_(k-1) = step(student, stop_gradient(x_k)),   loss = mean over k of d(x_(k-1), y_(k-1)).

    The student starts each step where its own step before ended, as in sampling, and so learns to correct its errors.
    The targets do not depend on it. The images of a batch are not used, only their conditions.

    A student of several numbers of steps takes each path in every batch, conditioned on its number, next to one
    trajectory of the teacher. Its loss is the mean over the paths.

    A student of a range of guidance is conditioned on the scale, drawn uniformly for each image, and so needs one call
    a step (Meng et al. 2023, "On Distillation of Guided Diffusion Models").

    Attributes:
        paths: one for each number of steps, all from the same first level.
        shape: (C, *space) of x.
        teacher: the teacher's trajectory.
        parameterisation: how the student is called.
        step: a step of the student's solver.
        dropout: the fraction of images whose conditions are dropped, for student and teacher.
        guidance: the lowest and highest guidance scale; None for a teacher of one.
        seed: the seed of the noise, with the one of training.
    """

    paths: tuple[StudentPath, ...]
    shape: tuple[int, ...]
    teacher: TeacherTrajectory
    parameterisation: Parameterisation
    step: SolverStep
    dropout: float = 0.0
    guidance: tuple[float, float] | None = None
    seed: int = 0

    @property
    def timesteps(self) -> tuple[float, ...]:
        """The timesteps of all noisy levels, falling."""
        return tuple(sorted({timestep for path in self.paths for timestep in path.timesteps}, reverse=True))

    def history(self) -> LossHistory | None:
        return None

    def draws(self, streams: RowStreams, history: LossHistory | None) -> Draws:
        streams = replace(streams, seed=derive(streams.seed, "distillation", self.seed))
        return self._draws(self.timesteps, streams, hidden_rows(streams.uniform("hidden"), self.dropout))

    def held_out(self, seed: int, n: int, bins: int) -> Iterator[tuple[int, Draws]]:
        """Yield fixed noise for n images, with the steps of each level; those of neighbours share a bin if need be."""
        streams, steps = RowStreams(derive(seed, "held out"), 0, n, range(n)), len(self.timesteps)
        bins = min(bins, steps)
        for k in range(bins):
            some = self.timesteps[k * steps // bins : (k + 1) * steps // bins]
            yield round(some[0]), self._draws(some, streams, None)

    def losses(self, model: Model, images: torch.Tensor, conditions: Conditions, draws: Draws) -> torch.Tensor:
        wanted = {*draws.timesteps[0].tolist()}
        conditions = student_conditions(model, conditions, draws, self.guidance, images.device)
        x = self.paths[0].levels[0].sigma * draws.streams.normal("noise", self.shape).to(images.device)
        x = x.contiguous(memory_format=model.layout)
        paths = [(path, own) for path in self.paths if (own := wanted & {*path.timesteps})]
        last = min(path.end(min(own)) for path, own in paths)
        needed = [timestep for timestep in (*self.timesteps[1:], 0.0) if timestep >= last]
        targets = dict(zip(needed, self.teacher(x, conditions), strict=False))
        losses = [self._path(path, own, model, x, conditions, targets) for path, own in paths]
        return torch.stack(losses).mean(0)

    def _path(
        self,
        path: StudentPath,
        wanted: set[float],
        model: Model,
        x: torch.Tensor,
        conditions: Conditions,
        targets: Mapping[float, torch.Tensor],
    ) -> torch.Tensor:
        """The mean distance, (B,), over the wanted steps of a path; none is taken after the last of them."""
        number = torch.full((len(x),), float(len(path.timesteps)), device=x.device)
        cond = model.cond({**conditions, "steps": number}, len(x))
        denoise = partial(model.denoiser(self.parameterisation), cond=cond)
        total = torch.zeros(len(x), device=x.device)
        for timestep, (now, next) in zip(path.timesteps, pairwise(path.levels), strict=True):
            if timestep < min(wanted):
                break
            with torch.set_grad_enabled(torch.is_grad_enabled() and timestep in wanted):
                x = self.step(denoise, x.detach(), now, next)
            if timestep in wanted:
                total = total + pseudo_huber(x, targets[path.end(timestep)]) / len(wanted)
        return total

    def _draws(self, timesteps: tuple[float, ...], streams: RowStreams, hidden: torch.Tensor | None) -> Draws:
        each = torch.tensor(timesteps, dtype=torch.float64).expand(len(streams.rows), -1)
        return Draws.unweighted(each, hidden, streams, augmented=False)

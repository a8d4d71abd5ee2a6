"""Consistency distillation: a student that maps every point of a trajectory to its clean end."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch

from ddpm.core import Denoised, Level, Parameterisation, Schedule
from ddpm.core.condition import Conditions
from ddpm.core.gaussian import ddim, diffuse
from ddpm.core.level import per_image, stacked
from ddpm.core.model import Model
from ddpm.core.seed import derive
from ddpm.core.stream import RowStreams
from ddpm.objectives.distillation import StudentPath, TeacherTrajectory, pseudo_huber, student_conditions
from ddpm.objectives.level_sampling import LossHistory
from ddpm.objectives.objective import Draws, Encode, hidden_rows
from ddpm.objectives.progressive import TeacherEstimate

HALVINGS = (4, 5)
"""The values of j in tuning, which lowers the angle by the fraction ``2^-j n``; each for an equal part of the stage."""
WIDEN, ROUND = 8.0, 5.4e-4
"""k of n (Geng et al. 2024), and c of the pseudo-Huber loss as a root mean square (Song & Dhariwal 2023, sec. 3.3)."""


@dataclass(frozen=True, slots=True)
class MidTraining:
    """The first stage: map points of the teacher's trajectory to its end (Hu et al. 2025, "CMT", sec. 3).

    From noise x_N, the teacher's solver visits x_(N-1) … x_0, the last one clean, and ``loss = mean over i of
    d(f(x_i, t_i), x_0)``. The targets do not depend on the student. As a trajectory costs more than the student's
    calls, it gives several points: all levels at which the student samples, and as many others.

    Attributes:
        path: the teacher's levels.
        own: the timesteps at which the student samples, a subset of the teacher's.
        shape: (C, *space) of x.
        teacher: the trajectory, at every level of the path.
        parameterisation: how the student is called.
        dropout: the fraction of images whose conditions are dropped, for student and teacher.
        guidance: the lowest and highest guidance scale; None if there is only one.
    """

    path: StudentPath
    own: tuple[float, ...]
    shape: tuple[int, ...]
    teacher: TeacherTrajectory
    parameterisation: Parameterisation
    dropout: float = 0.0
    guidance: tuple[float, float] | None = None

    def draws(self, streams: RowStreams) -> Draws:
        visited = torch.tensor(self.path.timesteps, dtype=torch.float64)
        points = streams.whole("points").integers(len(visited), streams.batch, len(self.own))
        others = visited[points[streams.selection]]
        own = torch.tensor(self.own, dtype=torch.float64).expand(len(others), -1)
        hidden = hidden_rows(streams.uniform("hidden"), self.dropout)
        return Draws.unweighted(torch.cat([own, others], 1), hidden, streams, augmented=False)

    def held_out(self, seed: int, n: int, bins: int) -> Iterator[tuple[int, Draws]]:
        """Yield fixed noise for n images, with as many points as in training; with fewer bins, neighbours share one."""
        others = [timestep for timestep in self.path.timesteps if timestep not in self.own]
        even = [others[(2 * k + 1) * len(others) // (2 * len(self.own))] for k in range(len(self.own))]
        points = torch.tensor(sorted((*self.own, *even), reverse=True), dtype=torch.float64)
        streams, bins = RowStreams(derive(seed, "held out"), 0, n, range(n)), min(bins, len(points))
        for some in points.tensor_split(bins):
            drawn = Draws.unweighted(some.expand(n, -1), None, streams, augmented=False, held_out=True)
            yield round(float(some[0])), drawn

    def losses(self, model: Model, images: torch.Tensor, conditions: Conditions, draws: Draws) -> torch.Tensor:
        conditions = student_conditions(model, conditions, draws, self.guidance, images.device)
        noise = draws.streams.normal("noise", self.shape).to(images.device)
        x = (self.path.levels[0].sigma * noise).contiguous(memory_format=model.layout)
        trajectory = torch.stack([x, *self.teacher(x, conditions)])  # (N + 1, B, C, *space)
        denoise = partial(model.denoiser(self.parameterisation), cond=model.cond(conditions, len(x)))
        total = torch.zeros(len(x), device=x.device)
        for points in draws.timesteps.mT.tolist():
            visited = [self.path.timesteps.index(timestep) for timestep in points]
            level = stacked([self.path.levels[k] for k in visited])
            total = total + pseudo_huber(denoise(trajectory[visited, range(len(x))], level).x0, trajectory[-1])
        return total / draws.timesteps.shape[1]


@dataclass(frozen=True, slots=True)
class Tuning:
    """The second stage: make the student agree with itself at two neighbouring levels (Geng et al. 2024, "ECT").

    From noised data x_t, the guided teacher takes a step of DDIM to x_r, and

        loss = d(f(x_t, t), stop_gradient(f(x_r, r))) / (φ_t - φ_r),   φ_r = φ_t · max(0, 1 - 2^-j n(tan φ_t)),

    with the angle φ = atan(sigma / alpha), which unlike the paper's sigma / alpha is finite for pure noise, and
    ``n(ρ) = 1 + 8 sigmoid(-ρ)``. The two levels move closer as training proceeds. Below the least noisy tick, f is the
    identity: see :class:`ConsistencyDistillation`.

    Attributes:
        schedule: the forward process.
        teacher: the teacher's estimate of x0.
        parameterisation: how the student is called.
        encode: maps stored images to x0 (B, C, *space).
        steps: the training steps before this stage and at its end.
        dropout, guidance: as in :class:`MidTraining`.
    """

    schedule: Schedule
    teacher: TeacherEstimate
    parameterisation: Parameterisation
    encode: Encode
    steps: tuple[int, int]
    dropout: float = 0.0
    guidance: tuple[float, float] | None = None

    def draws(self, streams: RowStreams) -> Draws:
        """Draw t and r, (B, 2); t is uniform in the angle, and both are ticks."""
        first, end = self.steps
        part = (streams.step - first) * len(HALVINGS) // max(1, end - first)
        j = HALVINGS[max(0, min(part, len(HALVINGS) - 1))]
        u = streams.whole("levels").uniform(streams.batch)[streams.selection]
        least, most = (_angle(self.schedule.level(timestep)) for timestep in (1, self.schedule.T))
        now = self.schedule.timestep((most - u * (most - least)).tan()).ceil()
        angle = _angle(self.schedule.levels(now))
        n = 1 + WIDEN * torch.sigmoid(-angle.tan())
        after = angle * (1 - n / 2**j).clamp(min=0)
        next = torch.minimum(self.schedule.timestep(after.tan()).floor(), now - 1)
        next = torch.where(after < least, 0.0, next)
        hidden = hidden_rows(streams.uniform("hidden"), self.dropout)
        return Draws.unweighted(torch.stack([now, next], 1), hidden, streams, augmented=False)

    def losses(self, model: Model, images: torch.Tensor, conditions: Conditions, draws: Draws) -> torch.Tensor:
        conditions = student_conditions(model, conditions, draws, self.guidance, images.device)
        x0 = self.encode(images, draws.streams).contiguous(memory_format=model.layout)
        now, next = (self.schedule.levels(timesteps) for timesteps in draws.timesteps.mT)
        x = diffuse(x0, draws.streams.normal("noise", x0.shape[1:]).to(x0.device), now)
        denoise: Callable[[torch.Tensor, Level], Denoised]
        denoise = partial(model.denoiser(self.parameterisation), cond=model.cond(conditions, len(x)))
        with torch.no_grad():
            y = ddim(x, self.teacher(x, now, conditions), now, next)
            clean = per_image((draws.timesteps[:, 1] == 0).to(y.device), y)
            target = torch.where(clean, y, denoise(y, next).x0)
        apart = (_angle(now) - _angle(next)).to(x.device, torch.float32)
        return pseudo_huber(denoise(x, now).x0, target, ROUND) / apart


@dataclass(frozen=True, slots=True)
class ConsistencyDistillation:
    """The objective of a consistency student: f(x_t, t), its estimate of x0, is the clean end of the trajectory of x_t.

    Every prediction but x0 makes f the identity at the clean level, whatever the network's output F: ``x0 = (b x_t -
    sigma F) / (b alpha - a sigma)`` is x_t where alpha is 1 and sigma 0, which is the boundary condition. What
    the network returns there is never used. The held-out loss is that of the first stage: the distance from the
    teacher's end.

    Attributes:
        first, second: the stages.
        tuning: the fraction of training steps in the second one.
        seed: the seed of the noise, combined with that of training.
    """

    first: MidTraining
    second: Tuning
    tuning: float = 0.0
    seed: int = 0

    @property
    def parts(self) -> tuple[tuple[float, "ConsistencyDistillation"], ...]:
        """The two stages, if both are trained; see :class:`~ddpm.objectives.objective.Staged`."""
        first = replace(self, second=replace(self.second, steps=(1, 2)))
        second = replace(self, second=replace(self.second, steps=(0, 1)))
        parts = (1 - self.tuning, first), (self.tuning, second)
        return tuple((share, one) for share, one in parts if share)

    def history(self) -> LossHistory | None:
        return None

    def draws(self, streams: RowStreams, history: LossHistory | None) -> Draws:
        streams = replace(streams, seed=derive(streams.seed, "distillation", self.seed))
        return self._stage(streams).draws(streams)

    def held_out(self, seed: int, n: int, bins: int) -> Iterator[tuple[int, Draws]]:
        return self.first.held_out(seed, n, bins)

    def losses(self, model: Model, images: torch.Tensor, conditions: Conditions, draws: Draws) -> torch.Tensor:
        stage = self.first if draws.held_out else self._stage(draws.streams)
        return stage.losses(model, images, conditions, draws)

    def _stage(self, streams: RowStreams) -> MidTraining | Tuning:
        """The stage of a training step."""
        return self.first if streams.step < self.second.steps[0] else self.second


def _angle(level: Level) -> torch.Tensor:
    """``atan(sigma / alpha)``, float64."""
    sigma, alpha = (torch.as_tensor(value, dtype=torch.float64) for value in (level.sigma, level.alpha))
    return torch.atan2(sigma, alpha)

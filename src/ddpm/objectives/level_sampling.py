"""Which noise levels the images of a training step get, and how much each then counts.

A sampler draws timesteps in (0, T]; those of a discrete schedule are rounded up, so that uniform timesteps are uniform
levels. A loss is estimated by ``mean(weights · losses)``, and a stream alone decides what is drawn.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch

from ddpm.core import Schedule, Stream


class Drawn(NamedTuple):
    """Noise levels of a batch.

    Attributes:
        timesteps: (n,) float64 in (0, T].
        weights: (n,) float64, by which the losses there are multiplied.
    """

    timesteps: torch.Tensor
    weights: torch.Tensor


@dataclass(frozen=True, eq=False)
class LossHistory:
    """The last losses of each level.

    Attributes:
        losses: (T, per_level) float64, of levels 1 … T, oldest first.
        counts: (T,) int64, how many of them there are.
    """

    losses: torch.Tensor
    counts: torch.Tensor

    @property
    def warm(self) -> bool:
        """Whether no level lacks a loss."""
        return bool((self.counts == self.losses.shape[1]).all())

    def add(self, timesteps: torch.Tensor, losses: torch.Tensor) -> None:
        """Add a batch's unweighted losses, (n,), each to its timestep, rounded up; the oldest are dropped."""
        levels = timesteps.ceil().long() - 1
        for i, loss in zip(levels.tolist(), losses.tolist(), strict=True):
            n = int(self.counts[i])
            if n == self.losses.shape[1]:
                n -= 1
                self.losses[i] = self.losses[i].roll(-1)
            self.losses[i, n] = loss
            self.counts[i] = n + 1

    def tensors(self) -> dict[str, torch.Tensor]:
        """Its state, to save, and to restore in place."""
        return {"losses": self.losses, "counts": self.counts}


class LevelSampling(Protocol):
    """How the levels of a training step are drawn."""

    def history(self, T: int) -> LossHistory | None:
        """What must be kept of the losses for it, empty; None for nothing."""
        ...

    def draw(self, schedule: Schedule, n: int, stream: Stream, history: LossHistory | None) -> Drawn:
        """n timesteps of a schedule, and the weights of the losses there."""
        ...


@dataclass(frozen=True, slots=True)
class Uniform:
    """Independent, all timesteps alike (Ho et al. 2020, alg. 1)."""

    def history(self, T: int) -> None:
        return None

    def draw(self, schedule: Schedule, n: int, stream: Stream, history: LossHistory | None) -> Drawn:
        return _unweighted(schedule.T * (1 - stream.uniform(n)))


@dataclass(frozen=True, slots=True)
class Stratified:
    """``T · (1 - (u + i / n) mod 1)`` for image i, one u for all: uniform, and one of each n-th part of the axis.

    The loss of a batch varies less so (Kingma et al. 2021, "low-variance sampler").
    """

    def history(self, T: int) -> None:
        return None

    def draw(self, schedule: Schedule, n: int, stream: Stream, history: LossHistory | None) -> Drawn:
        u = stream.uniform(1)
        return _unweighted(schedule.T * (1 - (u + torch.arange(n, dtype=torch.float64) / n) % 1))


@dataclass(frozen=True, slots=True)
class LogNormal:
    """``ln(sigma / alpha) ~ N(mean, std²)``, held in the schedule's noisy levels (Karras et al. 2022, table 1).

    Levels that are drawn more often count more: that is part of the objective, and no weight corrects it.
    """

    mean: float = -1.2
    std: float = 1.2

    def history(self, T: int) -> None:
        return None

    def draw(self, schedule: Schedule, n: int, stream: Stream, history: LossHistory | None) -> Drawn:
        z = stream.normal(n).double()
        return _unweighted(schedule.timestep((self.mean + self.std * z).exp()))


@dataclass(frozen=True, slots=True)
class LogitNormal:
    """``logit(timestep / T) ~ N(mean, std²)``: the middle of the axis most often (Esser et al. 2024, sec. 3.1).

    As with :class:`LogNormal` that is part of the objective, and no weight corrects it.
    """

    mean: float = 0.0
    std: float = 1.0

    def history(self, T: int) -> None:
        return None

    def draw(self, schedule: Schedule, n: int, stream: Stream, history: LossHistory | None) -> Drawn:
        z = stream.normal(n).double()
        return _unweighted(schedule.T * torch.sigmoid(self.mean + self.std * z))


@dataclass(frozen=True, slots=True)
class Importance:
    """Levels in proportion to ``sqrt(E[L²])`` over their last losses, weighted by ``1 / (T · p)``.

    So the bound is estimated with less noise (Nichol & Dhariwal 2021, sec. 3.3). Uniform until every level has all its
    losses; a timestep is then uniform in (i - 1, i] of its level i.

    Attributes:
        per_level: losses kept of each level.
        uniform: share of the draws that is uniform all the same, so that no level is forgotten.
    """

    per_level: int = 10
    uniform: float = 0.001

    def history(self, T: int) -> LossHistory:
        return LossHistory(torch.zeros(T, self.per_level, dtype=torch.float64), torch.zeros(T, dtype=torch.int64))

    def probabilities(self, history: LossHistory) -> torch.Tensor:
        """Of levels 1 … T, (T,) float64."""
        size = history.losses.square().mean(1).sqrt() if history.warm else torch.ones_like(history.losses[:, 0])
        return (1 - self.uniform) * size / size.sum() + self.uniform / len(size)

    def draw(self, schedule: Schedule, n: int, stream: Stream, history: LossHistory | None) -> Drawn:
        assert history is not None
        p = self.probabilities(history)
        ends = p.cumsum(0)
        i = torch.searchsorted(ends, ends[-1] * stream.uniform(n), right=True).clamp(max=len(p) - 1)
        within = 1 - stream.uniform(n)
        return Drawn(i + within, 1 / (len(p) * p[i]))


@dataclass(frozen=True, slots=True)
class Ticks:
    """What another draws, rounded up to the ticks 1 … T: for losses of steps from tick to tick, as the bound's are."""

    sampling: LevelSampling

    def history(self, T: int) -> LossHistory | None:
        return self.sampling.history(T)

    def draw(self, schedule: Schedule, n: int, stream: Stream, history: LossHistory | None) -> Drawn:
        timesteps, weights = self.sampling.draw(schedule, n, stream, history)
        return Drawn(timesteps.ceil(), weights)


def _unweighted(timesteps: torch.Tensor) -> Drawn:
    return Drawn(timesteps, torch.ones_like(timesteps))

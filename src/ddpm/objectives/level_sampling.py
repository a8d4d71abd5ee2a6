"""Samplers of the noise levels of a training step, and of the weights of their losses.

A sampler draws timesteps in (0, T]; those of a discrete schedule are rounded up, so that uniform timesteps are uniform
levels. The loss is estimated by ``mean(weights · losses)``. Draws depend on the stream only.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch

from ddpm.core import Schedule, Stream


class Drawn(NamedTuple):
    """Noise levels of a batch.

    Attributes:
        timesteps: (n,) float64 in (0, T].
        weights: (n,) float64, the weights of the losses at these timesteps.
    """

    timesteps: torch.Tensor
    weights: torch.Tensor


@dataclass(frozen=True, eq=False)
class LossHistory:
    """The most recent losses at each level.

    Attributes:
        losses: (T, per_level) float64, of levels 1 … T, oldest first.
        counts: (T,) int64, the number of losses recorded so far.
    """

    losses: torch.Tensor
    counts: torch.Tensor

    @property
    def warm(self) -> bool:
        """Whether every level has all its losses."""
        return bool((self.counts == self.losses.shape[1]).all())

    def add(self, timesteps: torch.Tensor, losses: torch.Tensor) -> None:
        """Add a batch's unweighted losses, (n,), at their timesteps, rounded up; the oldest are dropped."""
        levels = timesteps.ceil().long() - 1
        for i, loss in zip(levels.tolist(), losses.tolist(), strict=True):
            n = int(self.counts[i])
            if n == self.losses.shape[1]:
                n -= 1
                self.losses[i] = self.losses[i].roll(-1)
            self.losses[i, n] = loss
            self.counts[i] = n + 1

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the state, to save or to restore in place."""
        return {"losses": self.losses, "counts": self.counts}


class LevelSampling(Protocol):
    """A sampler of the levels of a training step."""

    def history(self, T: int) -> LossHistory | None:
        """Return an empty history of losses; None if none is needed."""
        ...

    def draw(self, schedule: Schedule, n: int, stream: Stream, history: LossHistory | None) -> Drawn:
        """Draw n timesteps of a schedule, with the weights of their losses."""
        ...


@dataclass(frozen=True, slots=True)
class Uniform:
    """Independent and uniform timesteps (Ho et al. 2020, alg. 1)."""

    def history(self, T: int) -> None:
        return None

    def draw(self, schedule: Schedule, n: int, stream: Stream, history: LossHistory | None) -> Drawn:
        return _unweighted(schedule.T * (1 - stream.uniform(n)))


@dataclass(frozen=True, slots=True)
class Stratified:
    """``T · (1 - (u + i / n) mod 1)`` for image i, with the same u for all: uniform, one in each n-th of the axis.

    This reduces the variance of a batch's loss (Kingma et al. 2021, "low-variance sampler").
    """

    def history(self, T: int) -> None:
        return None

    def draw(self, schedule: Schedule, n: int, stream: Stream, history: LossHistory | None) -> Drawn:
        u = stream.uniform(1)
        return _unweighted(schedule.T * (1 - (u + torch.arange(n, dtype=torch.float64) / n) % 1))


@dataclass(frozen=True, slots=True)
class LogNormal:
    """``ln(sigma / alpha) ~ N(mean, std²)``, clamped to the schedule's noisy levels (Karras et al. 2022, table 1).

    Levels drawn more often count more: this is part of the objective and not corrected by weights.
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
    """``logit(timestep / T) ~ N(mean, std²)``: mostly the middle of the axis (Esser et al. 2024, sec. 3.1).

    As with :class:`LogNormal`, this is part of the objective and not corrected by weights.
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
    """Levels with probability proportional to ``sqrt(E[L²])`` over their last losses, weighted by ``1 / (T · p)``.

    This estimates the bound with less noise (Nichol & Dhariwal 2021, sec. 3.3). Uniform until every level has all its
    losses; timesteps are uniform in (i - 1, i] of their level i.

    Attributes:
        per_level: the number of losses kept at each level.
        uniform: the fraction of draws that stay uniform, so that no level is neglected.
    """

    per_level: int = 10
    uniform: float = 0.001

    def history(self, T: int) -> LossHistory:
        return LossHistory(torch.zeros(T, self.per_level, dtype=torch.float64), torch.zeros(T, dtype=torch.int64))

    def probabilities(self, history: LossHistory) -> torch.Tensor:
        """Return the probabilities of levels 1 … T, (T,) float64."""
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
    """Timesteps of another sampler rounded up to integers 1 … T: for losses of whole steps, as those of the bound."""

    sampling: LevelSampling

    def history(self, T: int) -> LossHistory | None:
        return self.sampling.history(T)

    def draw(self, schedule: Schedule, n: int, stream: Stream, history: LossHistory | None) -> Drawn:
        timesteps, weights = self.sampling.draw(schedule, n, stream, history)
        return Drawn(timesteps.ceil(), weights)


def _unweighted(timesteps: torch.Tensor) -> Drawn:
    return Drawn(timesteps, torch.ones_like(timesteps))

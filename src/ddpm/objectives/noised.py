"""Random draws of the objectives at noise levels."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from ddpm.core import Level, Schedule
from ddpm.core.seed import derive
from ddpm.core.stream import RowStreams
from ddpm.objectives.level_sampling import LevelSampling, LossHistory
from ddpm.objectives.objective import Draws, hidden_rows


@dataclass(frozen=True, slots=True)
class NoiseLevels:
    """The sampler of the noise levels and dropped conditions of a step.

    Attributes:
        schedule: the forward process.
        sampling: the sampler of its levels.
        dropout: the fraction of images whose conditions are dropped.
    """

    schedule: Schedule
    sampling: LevelSampling
    dropout: float = 0.0

    def history(self) -> LossHistory | None:
        """Return an empty history of losses; None if none is needed."""
        return self.sampling.history(self.schedule.T)

    def draws(self, streams: RowStreams, history: LossHistory | None) -> Draws:
        """See :class:`Objective`."""
        stream = streams.whole("levels")
        timesteps, weights = self.sampling.draw(self.schedule, streams.batch, stream, history)
        rows = streams.selection
        hidden = hidden_rows(stream.uniform(streams.batch)[rows], self.dropout)
        return Draws(timesteps[rows], weights[rows], hidden, streams)

    def held_out(self, seed: int, n: int, bins: int) -> Iterator[tuple[int, Draws]]:
        """See :class:`Objective`."""
        T = self.schedule.T
        for k in range(bins):
            i = min(1 + (2 * k + 1) * T // (2 * bins), T)
            timesteps = torch.full((n,), float(i), dtype=torch.float64)
            streams = RowStreams(derive(seed, "held out"), k, n, range(n))
            yield i, Draws.unweighted(timesteps, None, streams, augmented=False)

    def levels(self, draws: Draws) -> tuple[Level, Level]:
        """Return the levels of the images, and those one timestep cleaner."""
        return self.schedule.levels(draws.timesteps), self.schedule.levels((draws.timesteps - 1).clamp(min=0))

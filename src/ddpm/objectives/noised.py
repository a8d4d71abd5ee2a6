"""What the objectives at noise levels draw."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from ddpm.core import Level, Schedule
from ddpm.core.seed import derive
from ddpm.core.stream import RowStreams
from ddpm.objectives.level_sampling import LevelSampling, LossHistory
from ddpm.objectives.objective import Draws


@dataclass(frozen=True, slots=True)
class NoiseLevels:
    """Which levels of a process the images of a step get, and whose conditions are dropped.

    Attributes:
        schedule: the forward process.
        sampling: of its levels.
        dropout: share of the images whose conditions are dropped.
    """

    schedule: Schedule
    sampling: LevelSampling
    dropout: float = 0.0

    def history(self) -> LossHistory | None:
        """What must be kept of earlier losses, empty."""
        return self.sampling.history(self.schedule.T)

    def draws(self, streams: RowStreams, history: LossHistory | None) -> Draws:
        """See :class:`Objective`."""
        stream = streams.whole("levels")
        timesteps, weights = self.sampling.draw(self.schedule, streams.batch, stream, history)
        hidden = stream.uniform(streams.batch) < self.dropout
        rows = slice(streams.rows.start, streams.rows.stop)
        return Draws(timesteps[rows], weights[rows], hidden[rows], streams)

    def held_out(self, seed: int, n: int, bins: int) -> Iterator[tuple[int, Draws]]:
        """See :class:`Objective`."""
        T = self.schedule.T
        for k in range(bins):
            i = min(1 + (2 * k + 1) * T // (2 * bins), T)
            timesteps, weights = torch.full((n,), float(i), dtype=torch.float64), torch.ones(n, dtype=torch.float64)
            yield (
                i,
                Draws(timesteps, weights, None, RowStreams(derive(seed, "held out"), k, n, range(n)), augmented=False),
            )

    def levels(self, draws: Draws) -> tuple[Level, Level]:
        """The levels of the images, and those one place cleaner."""
        return self.schedule.levels(draws.timesteps), self.schedule.levels((draws.timesteps - 1).clamp(min=0))

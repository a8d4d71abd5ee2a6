"""The loss on held-out images, by noise level."""

from dataclasses import dataclass

import numpy as np
import torch

from ddpm.core.model import Model
from ddpm.data.dataset import Dataset
from ddpm.data.loader import batch_of
from ddpm.objectives.objective import Objective


@dataclass(frozen=True)
class HeldOut:
    """Fixed images at fixed levels with fixed noise, so that the loss depends on the weights only.

    Attributes:
        data: the held-out images.
        objective: the training objective.
        seed: the seed of the noise.
        limit: the maximum number of images.
        bins: the number of noise levels, evenly spread.
        batch: the number of images in memory at a time.
    """

    data: Dataset
    objective: Objective
    seed: int
    limit: int = 128
    bins: int = 8
    batch: int = 128

    @torch.no_grad()
    def losses(self, model: Model, device: torch.device) -> dict[int, float]:
        """Return the mean loss by level index; empty without held-out images."""
        n = min(len(self.data), self.limit)
        if not n:
            return {}
        totals = dict[int, float]()
        for start in range(0, n, self.batch):
            where = slice(start, min(start + self.batch, n))
            batch = batch_of(self.data, np.arange(where.start, where.stop))
            images = batch.images.to(device)
            conditions = {kind: raw.to(device) for kind, raw in batch.conditions.items()}
            for timestep, draws in self.objective.held_out(self.seed, n, self.bins):
                losses = self.objective.losses(model, images, conditions, draws.part(where))
                totals[timestep] = totals.get(timestep, 0.0) + float(losses.double().sum())
        return {timestep: total / n for timestep, total in totals.items()}

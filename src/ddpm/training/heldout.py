"""The loss on images that are not trained on, by noise level."""

from dataclasses import dataclass

import numpy as np
import torch

from ddpm.core.model import Model
from ddpm.data.dataset import Dataset
from ddpm.data.loader import batch_of
from ddpm.objectives.objective import Objective


@dataclass(frozen=True)
class HeldOut:
    """Fixed images at fixed levels under fixed noise: the same number for the same weights, so it can be compared.

    Attributes:
        data: the held-out images.
        objective: what is minimised.
        seed: of the noise.
        limit: the most images to use.
        bins: number of noise levels, spread evenly.
    """

    data: Dataset
    objective: Objective
    seed: int
    limit: int = 128
    bins: int = 8

    @torch.no_grad()
    def losses(self, model: Model, device: torch.device) -> dict[int, float]:
        """Level index -> mean loss there; empty where nothing is held out."""
        n = min(len(self.data), self.limit)
        if not n:
            return {}
        batch = batch_of(self.data, np.arange(n))
        images, conditions = batch.images.to(device), {kind: raw.to(device) for kind, raw in batch.conditions.items()}
        return {
            timestep: float(self.objective.losses(model, images, conditions, draws).mean())
            for timestep, draws in self.objective.held_out(self.seed, n, self.bins)
        }

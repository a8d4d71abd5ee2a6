"""The loss on images that are not trained on, by noise level."""

from dataclasses import dataclass

import torch

from ddpm.core.model import Model
from ddpm.core.stream import Stream
from ddpm.data.dataset import Dataset
from ddpm.training.learner import Problem


@dataclass(frozen=True)
class HeldOut:
    """Fixed images at fixed levels under fixed noise: the same number for the same weights, so it can be compared.

    Attributes:
        data: the images held out.
        problem: what is learned.
        seed: of the noise.
        limit: most images used.
        bins: number of noise levels, spread evenly.
    """

    data: Dataset
    problem: Problem
    seed: int
    limit: int = 128
    bins: int = 8

    @torch.no_grad()
    def losses(self, model: Model, device: torch.device) -> dict[int, float]:
        """Level index -> mean loss there; empty where nothing is held out."""
        n = min(len(self.data), self.limit)
        if not n:
            return {}
        schedule = self.problem.schedule
        x0 = self.problem.codec.encode(torch.from_numpy(self.data.images[:n])).to(device)
        labels = None if self.data.labels is None else torch.from_numpy(self.data.labels[:n]).to(device)
        low = None if self.data.low is None else torch.from_numpy(self.data.low.images[:n])
        enlarged = self.problem.enlarged(x0, low)
        given = None if enlarged is None or self.problem.pairs is None else self.problem.pairs.plain(enlarged)
        result = {}
        for k in range(self.bins):
            i = 1 + (2 * k + 1) * schedule.T // (2 * self.bins)
            eps = Stream(self.seed, "held-out noise", k).normal(*x0.shape).to(device)
            i = min(i, schedule.T)
            now, next = self.problem.levels(torch.full((n,), i))
            result[i] = float(self.problem.loss(model.net, x0, eps, now, next, model.cond(labels, given)).mean())
        return result

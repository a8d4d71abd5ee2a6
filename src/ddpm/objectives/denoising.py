"""Denoising: the objective of a diffusion model."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from ddpm.core.condition import Conditions
from ddpm.core.model import Model
from ddpm.core.stream import RowStreams
from ddpm.objectives.level_sampling import LossHistory
from ddpm.objectives.loss import Loss
from ddpm.objectives.noised import NoiseLevels
from ddpm.objectives.objective import Draws, Encode


@dataclass(frozen=True, slots=True)
class Denoising:
    """The objective of a network at random noise levels (Ho et al. 2020, alg. 1).

    Attributes:
        noise: the noise levels of the images.
        loss: the loss of the network at those levels.
        encode: maps stored images to x0 (B, C, *space).
    """

    noise: NoiseLevels
    loss: Loss
    encode: Encode

    def history(self) -> LossHistory | None:
        return self.noise.history()

    def draws(self, streams: RowStreams, history: LossHistory | None) -> Draws:
        return self.noise.draws(streams, history)

    def held_out(self, seed: int, n: int, bins: int) -> Iterator[tuple[int, Draws]]:
        return self.noise.held_out(seed, n, bins)

    def losses(self, model: Model, images: torch.Tensor, conditions: Conditions, draws: Draws) -> torch.Tensor:
        x0 = self.encode(images, draws.streams).contiguous(memory_format=model.layout)
        eps = draws.streams.normal("noise", x0.shape[1:]).to(x0.device)
        if draws.hidden is not None:
            conditions = model.drop(conditions, draws.hidden.to(x0.device), draws.streams)
        if draws.augmented:
            conditions = model.augment(conditions, draws.streams)
        now, next = self.noise.levels(draws)
        return self.loss(model.net, x0, eps, now, next, model.cond(conditions, len(x0)))

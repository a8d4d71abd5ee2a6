"""The randomness of a training step, as a function of (seed, step)."""

from typing import NamedTuple, Self

import torch

from ddpm.core import Schedule
from ddpm.core.seed import derive
from ddpm.objectives import level_sampling


class Draws(NamedTuple):
    """What the images of one batch are drawn.

    Attributes:
        levels: (B,) int64 on the CPU, the noise levels.
        hidden: (B,) bool on the CPU, whose labels are dropped.
        eps: (B, C, *space) standard normal noise.
    """

    levels: torch.Tensor
    hidden: torch.Tensor
    eps: torch.Tensor

    def part(self, where: slice) -> Self:
        """The draws of some of the images."""
        return type(self)(self.levels[where], self.hidden[where], self.eps[where])


def draw(
    seed: int,
    step: int,
    batch: int,
    shape: tuple[int, ...],
    schedule: Schedule,
    label_dropout: float,
    device: torch.device,
) -> Draws:
    """The draws of step ``step`` for its whole global batch.

    Every process draws all of them and takes its part, so that how a batch is split changes nothing.

    Args:
        batch: images over all processes.
        shape: (C, *space) of one.
    """
    levels = torch.Generator().manual_seed(derive(seed, "levels", step))
    noise = torch.Generator(device).manual_seed(derive(seed, "noise", step))
    return Draws(
        level_sampling.uniform(schedule, batch, levels),
        torch.rand(batch, generator=levels) < label_dropout,
        torch.randn(batch, *shape, generator=noise, device=device),
    )

"""The randomness of a training step, as a function of (seed, step)."""

from collections.abc import Callable
from typing import NamedTuple, Self

import torch

from ddpm.core.seed import derive
from ddpm.objectives.level_sampling import Drawn
from ddpm.training.settings import TrainSettings


class Draws(NamedTuple):
    """What the images of one batch are drawn.

    Attributes:
        places: (B,) float64 on the CPU, of the noise levels.
        weights: (B,) float64 on the CPU, of the losses there.
        hidden: (B,) bool on the CPU, whose labels are dropped.
        eps: (B, C, *space) standard normal noise.
    """

    places: torch.Tensor
    weights: torch.Tensor
    hidden: torch.Tensor
    eps: torch.Tensor

    def part(self, where: slice) -> Self:
        """The draws of some of the images."""
        return type(self)(*(drawn[where] for drawn in self))


def draw(
    settings: TrainSettings,
    step: int,
    shape: tuple[int, ...],
    places: Callable[[int, torch.Generator], Drawn],
    device: torch.device,
) -> Draws:
    """The draws of step ``step`` for its whole global batch.

    Every process draws all of them and takes its part, so that how a batch is split changes nothing.

    Args:
        shape: (C, *space) of one image.
        places: draws so many noise levels.
    """
    levels = torch.Generator().manual_seed(derive(settings.seed, "levels", step))
    noise = torch.Generator(device).manual_seed(derive(settings.seed, "noise", step))
    drawn = places(settings.batch, levels)
    return Draws(
        drawn.places,
        drawn.weights,
        torch.rand(settings.batch, generator=levels) < settings.label_dropout,
        torch.randn(settings.batch, *shape, generator=noise, device=device),
    )

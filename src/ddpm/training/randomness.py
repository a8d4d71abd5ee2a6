"""The randomness of a training step, as a function of (seed, step)."""

from collections.abc import Callable
from typing import NamedTuple, Self

import torch

from ddpm.config.training import TrainSettings
from ddpm.core.seed import derive
from ddpm.objectives.level_sampling import Drawn


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


def augmentation(
    settings: TrainSettings, step: int, shape: tuple[int, ...], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """How strong the noise on the images of the conditions is in step ``step``, and the noise, for its global batch.

    Streams of their own, so that runs without such images draw what they always did.

    Returns:
        share: (B,) float32, uniform in [0, 1).
        eps: (B, *shape), standard normal.
    """
    strengths = torch.Generator().manual_seed(derive(settings.seed, "strengths", step))
    noise = torch.Generator(device).manual_seed(derive(settings.seed, "strength noise", step))
    return (
        torch.rand(settings.batch, generator=strengths).to(device),
        torch.randn(settings.batch, *shape, generator=noise, device=device),
    )


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

"""The randomness of a training step, as a function of (seed, step), drawn on the CPU."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Self

import torch

from ddpm.config.training import TrainSettings
from ddpm.core.stream import Stream
from ddpm.objectives.level_sampling import Drawn


class Draws(NamedTuple):
    """What the images of one batch are drawn.

    Attributes:
        places: (B,) float64, of the noise levels.
        weights: (B,) float64, of the losses there.
        hidden: (B,) bool, whose labels are dropped.
    """

    places: torch.Tensor
    weights: torch.Tensor
    hidden: torch.Tensor

    def part(self, where: slice) -> Self:
        """The draws of some of the images."""
        return type(self)(*(drawn[where] for drawn in self))


def draw(settings: TrainSettings, step: int, places: Callable[[int, Stream], Drawn]) -> Draws:
    """The draws of step ``step`` for its whole global batch.

    Every process draws all of them and takes its part, so that how a batch is split changes nothing.

    Args:
        places: draws so many noise levels.
    """
    stream = Stream(settings.seed, "levels", step)
    drawn = places(settings.batch, stream)
    return Draws(drawn.places, drawn.weights, stream.uniform(settings.batch) < settings.label_dropout)


def noise(settings: TrainSettings, step: int, own: slice, shape: Sequence[int]) -> torch.Tensor:
    """The noise of some of the images of step ``step``'s global batch, (b, *shape) standard normal.

    Each image has a stream of its own, so that a process draws what it needs alone, however the batch is split.
    """
    return _rows(settings, "noise", step, own, shape)


def augmentation(
    settings: TrainSettings, step: int, own: slice, shape: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """How strong the noise on the images of the conditions is in step ``step``, and the noise, as in :func:`noise`.

    Streams of their own, so that runs without such images draw what they always did.

    Returns:
        share: (b,) float32, uniform in [0, 1].
        eps: (b, *shape), standard normal.
    """
    share = Stream(settings.seed, "strengths", step).uniform(settings.batch)[own].float()
    return share, _rows(settings, "strength noise", step, own, shape)


def _rows(settings: TrainSettings, purpose: str, step: int, own: slice, shape: Sequence[int]) -> torch.Tensor:
    rows = range(settings.batch)[own]
    return torch.stack([Stream(settings.seed, purpose, step, row).normal(*shape) for row in rows])

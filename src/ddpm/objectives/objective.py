"""What every training objective is."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol, Self

import torch

from ddpm.core.condition import Conditions
from ddpm.core.model import Model
from ddpm.core.stream import RowStreams
from ddpm.objectives.level_sampling import LossHistory


@dataclass(frozen=True, eq=False)
class Draws:
    """What is random about the images of one batch.

    Attributes:
        timesteps: (B,) float64 on the CPU, of their noise levels.
        weights: (B,) float64 on the CPU, by which their losses count.
        hidden: (B,) bool, whose conditions are dropped; None for none.
        streams: of everything else, image by image.
        augmented: whether conditions get their noise.
    """

    timesteps: torch.Tensor
    weights: torch.Tensor
    hidden: torch.Tensor | None
    streams: RowStreams
    augmented: bool = True

    def part(self, where: slice) -> Self:
        """Those of some of the images."""
        hidden = None if self.hidden is None else self.hidden[where]
        streams = self.streams.part(where)
        return replace(
            self, timesteps=self.timesteps[where], weights=self.weights[where], hidden=hidden, streams=streams
        )


class Objective(Protocol):
    """What is drawn for a training step, and what is minimised."""

    def history(self) -> LossHistory | None:
        """What must be kept of earlier losses to draw by, empty; None for nothing."""

    def draws(self, streams: RowStreams, history: LossHistory | None) -> Draws:
        """What a step draws for the rows of a global batch, whatever process they belong to."""

    def losses(self, model: Model, images: torch.Tensor, conditions: Conditions, draws: Draws) -> torch.Tensor:
        """The loss of each image, (B,) float32, unweighted.

        Args:
            images: (B, *space, C) uint8 as stored, on the model's device.
            conditions: raw, by kind.
        """

    def held_out(self, seed: int, n: int, bins: int) -> Iterator[tuple[int, Draws]]:
        """Fixed draws for n images at each of some levels, by the level's timestep: spread evenly, nothing dropped."""

"""The protocol of training objectives."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self, runtime_checkable

import torch

from ddpm.core.condition import Conditions
from ddpm.core.model import Model
from ddpm.core.stream import RowStreams
from ddpm.objectives.level_sampling import LossHistory


@dataclass(frozen=True, eq=False)
class Draws:
    """The random draws of one batch.

    Attributes:
        timesteps: (B,) float64 on the CPU, the timesteps of the noise levels; (B, k) of an objective of several levels.
        weights: (B,) float64 on the CPU, the weights of the losses.
        hidden: (B,) bool, which conditions are dropped; None for none, also none by itself.
        streams: the random streams of everything else, by image.
        augmented: whether noise is added to the conditions.
        held_out: whether they are fixed draws for held-out images, where an objective of several stages asks.
    """

    timesteps: torch.Tensor
    weights: torch.Tensor
    hidden: torch.Tensor | None
    streams: RowStreams
    augmented: bool = True
    held_out: bool = False

    @classmethod
    def unweighted(
        cls,
        timesteps: torch.Tensor,
        hidden: torch.Tensor | None,
        streams: RowStreams,
        *,
        augmented: bool = True,
        held_out: bool = False,
    ) -> Self:
        """Return draws whose losses have a weight of 1."""
        weights = torch.ones(len(timesteps), dtype=torch.float64)
        return cls(timesteps, weights, hidden, streams, augmented, held_out)

    def part(self, where: slice) -> Self:
        """Return the draws of some of the images."""
        hidden = None if self.hidden is None else self.hidden[where]
        streams = self.streams.part(where)
        return replace(
            self, timesteps=self.timesteps[where], weights=self.weights[where], hidden=hidden, streams=streams
        )


def hidden_rows(drawn: torch.Tensor, dropout: float) -> torch.Tensor | None:
    """Which conditions are dropped, (B,) bool, from uniform draws (B,); None if none ever are.

    Args:
        dropout: the fraction of images whose conditions are dropped.
    """
    return drawn < dropout if dropout else None


Encode = Callable[[torch.Tensor, RowStreams], torch.Tensor]
"""(images as the data set stores them, (B, *space, C) uint8 or the moments of their x0, the random streams of the rows)
-> x0 (B, C', *space')."""


class Objective(Protocol):
    """A training objective: the random draws of a step, and the loss to minimise."""

    def history(self) -> LossHistory | None:
        """Return an empty history of losses to sample levels by; None if none is needed."""

    def draws(self, streams: RowStreams, history: LossHistory | None) -> Draws:
        """Draw for the rows of a global batch, independently of the processes they belong to."""

    def losses(self, model: Model, images: torch.Tensor, conditions: Conditions, draws: Draws) -> torch.Tensor:
        """Compute the unweighted loss of each image, (B,) float32.

        Args:
            images: as the data set stores them, on the model's device: (B, *space, C) uint8, or see :data:`Encode`.
            conditions: raw, by kind.
        """

    def held_out(self, seed: int, n: int, bins: int) -> Iterator[tuple[int, Draws]]:
        """Yield fixed draws for n images at each of ``bins`` evenly spread timesteps, with nothing dropped."""


@runtime_checkable
class Staged(Protocol):
    """An objective whose steps do not all cost the same."""

    @property
    def parts(self) -> Sequence[tuple[float, Objective]]:
        """The share of each stage in a run, and an objective whose step 0 costs what a step of this stage does."""
        ...

"""The protocol of solvers."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch

from ddpm.core import Denoised, Level

BoundDenoiser = Callable[[torch.Tensor, Level], Denoised]
"""A denoiser whose condition is already given."""

Randn = Callable[[], torch.Tensor]
"""Fresh standard normal noise of the sample's shape."""

Between = Callable[[float], Level]
"""A process for solvers that visit levels between those of the grid: noise-to-signal ratio -> level."""


def no_noise() -> torch.Tensor:
    """The noise of deterministic solvers, which never ask for it."""
    raise AssertionError("a deterministic solver draws no noise")


class Solver(Protocol):
    """A solver that takes one step of a grid at a time. Immutable: its memory between steps is passed as ``state``."""

    def evaluations(self, grid: Sequence[Level]) -> int:
        """Count the denoiser calls on a whole grid; for an adaptive solver the maximum."""
        ...

    def init(self, grid: Sequence[Level]) -> Any:
        """Return the state before the first step of a grid."""
        ...

    def step(
        self, denoise: BoundDenoiser, x: torch.Tensor, now: Level, next: Level, state: Any, randn: Randn
    ) -> tuple[torch.Tensor, Any]:
        """Step from x (B, C, *space) at level ``now`` to the cleaner ``next``; also returns the new state."""
        ...

"""What every solver is."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch

from ddpm.core import Denoised, Level

BoundDenoiser = Callable[[torch.Tensor, Level], Denoised]
"""A denoiser whose condition is already given."""

Randn = Callable[[], torch.Tensor]
"""Fresh standard normal noise of the sample's shape."""

Between = Callable[[float], Level]
"""A process as a solver sees it that stops between the levels of its grid: noise-to-signal ratio -> level."""


class Solver(Protocol):
    """Takes one step of a grid. Frozen: what it must remember between steps travels as ``state``."""

    def evaluations(self, grid: Sequence[Level]) -> int:
        """How often the denoiser is asked on a whole grid; for a solver that controls its own steps, at the most."""
        ...

    def init(self, grid: Sequence[Level]) -> Any:
        """The state before the first step of a grid."""
        ...

    def step(
        self, denoise: BoundDenoiser, x: torch.Tensor, now: Level, next: Level, state: Any, randn: Randn
    ) -> tuple[torch.Tensor, Any]:
        """Go from x (B, C, *space) at level ``now`` to the cleaner ``next``; also the new state."""
        ...

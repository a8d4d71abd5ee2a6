"""What every solver is."""

from collections.abc import Callable
from typing import Any, Protocol

import torch

from ddpm.core import Denoised, Level

BoundDenoiser = Callable[[torch.Tensor, Level], Denoised]
"""A denoiser whose condition is already given."""

Randn = Callable[[], torch.Tensor]
"""Fresh standard normal noise of the sample's shape."""


class Solver(Protocol):
    """Takes one step of a grid. Frozen: what it must remember between steps travels as ``state``."""

    def init(self) -> Any:
        """The state before the first step."""

    def step(
        self, denoise: BoundDenoiser, x: torch.Tensor, now: Level, next: Level, state: Any, randn: Randn
    ) -> tuple[torch.Tensor, Any]:
        """Go from x (B, C, *space) at level ``now`` to the cleaner ``next``; also the new state."""

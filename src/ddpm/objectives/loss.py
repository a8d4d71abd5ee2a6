"""The protocol of losses."""

from typing import Protocol

import torch

from ddpm.core import Cond, Level, Network, Parameterisation


class Loss(Protocol):
    """A function of a network, images, noise and a step of the process that returns the loss of each image."""

    @property
    def parameterisation(self) -> Parameterisation:
        """How the network is called."""

    def __call__(
        self,
        net: Network,
        x0: torch.Tensor,
        eps: torch.Tensor,
        now: Level,
        next: Level,
        cond: Cond | None = None,
    ) -> torch.Tensor:
        """Compute the loss of each image, (B,) float32.

        Args:
            x0, eps: (B, C, *space), images in [-1, 1] and standard normal noise.
            now: the levels of the images, tensors (B,).
            next: the levels one timestep cleaner.
        """

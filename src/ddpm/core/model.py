"""All that is learned, in one module."""

from typing import Protocol

import torch
from torch import nn

from ddpm.core.condition import Cond, LowResolution
from ddpm.core.parameterisation import NetworkDenoiser, Parameterisation


class Conditioner(Protocol):
    """Turns labels (B,) int64 into what the network takes."""

    def __call__(self, labels: torch.Tensor) -> Cond: ...

    def null(self, n: int) -> Cond:
        """The unconditional condition, n rows."""

    def drop(self, labels: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The labels with those under the mask, (B,) bool, made null."""


class Model(nn.Module):
    """A network and, for conditional models, the encoders of its conditions.

    Attributes:
        net: ``net(x, t, cond)``.
        conditioner: labels -> Cond, or None.
        image: LowResolution -> Cond, or None.
    """

    net: nn.Module
    conditioner: nn.Module | None
    image: nn.Module | None

    def __init__(self, net: nn.Module, conditioner: nn.Module | None = None, image: nn.Module | None = None) -> None:
        super().__init__()
        self.net = net
        self.conditioner = conditioner
        self.image = image

    def cond(self, labels: torch.Tensor | None, low: LowResolution | None = None) -> Cond | None:
        """What the network is told of labels (B,) int64 and images to enlarge; None for a model that takes neither."""
        known: list[Cond] = []
        if self.conditioner is not None and labels is not None:
            known.append(self.conditioner(labels))
        if self.image is not None and low is not None:
            known.append(self.image(low))
        return known[0].plus(known[1]) if len(known) == 2 else next(iter(known), None)

    def denoiser(self, parameterisation: Parameterisation) -> NetworkDenoiser:
        """This network as a denoiser."""
        return NetworkDenoiser(self.net, parameterisation)

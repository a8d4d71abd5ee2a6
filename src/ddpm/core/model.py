"""All that is learned, in one module."""

from typing import Protocol

import torch
from torch import nn

from ddpm.core.condition import Cond
from ddpm.core.parameterisation import NetworkDenoiser, Parameterisation


class Conditioner(Protocol):
    """Turns labels (B,) int64 into what the network takes."""

    def __call__(self, labels: torch.Tensor) -> Cond: ...

    def null(self, n: int) -> Cond:
        """The unconditional condition, n rows."""

    def drop(self, labels: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The labels with those under the mask, (B,) bool, made null."""


class Model(nn.Module):
    """A network and, for conditional models, the encoder of its conditions.

    Attributes:
        net: ``net(x, t, cond)``.
        conditioner: labels -> Cond, or None.
    """

    net: nn.Module
    conditioner: nn.Module | None

    def __init__(self, net: nn.Module, conditioner: nn.Module | None = None) -> None:
        super().__init__()
        self.net = net
        self.conditioner = conditioner

    def cond(self, labels: torch.Tensor | None) -> Cond | None:
        """What the network is told of labels (B,) int64; None for a model without labels."""
        if self.conditioner is None or labels is None:
            return None
        cond: Cond = self.conditioner(labels)
        return cond

    def denoiser(self, parameterisation: Parameterisation) -> NetworkDenoiser:
        """This network as a denoiser."""
        return NetworkDenoiser(self.net, parameterisation)

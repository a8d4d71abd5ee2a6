"""The denoiser interface, on which the whole package is built."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch

from ddpm.core.condition import Cond
from ddpm.core.level import Level


class Denoised(NamedTuple):
    """The estimate of a denoiser.

    Attributes:
        x0: (B, C, *space), the expected clean image in [-1, 1].
        var_mix: Like x0, in about [0, 1]: the learned variance, as a mix of its two bounds.
    """

    x0: torch.Tensor
    var_mix: torch.Tensor | None = None


class Denoiser(Protocol):
    """A function ``denoise(x, level, cond)`` that estimates the clean image from x, (B, C, *space), at a level."""

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised: ...


@dataclass(frozen=True, slots=True)
class FixedVariance:
    """A denoiser without its learned variance, so that a fixed one is used."""

    denoise: Denoiser

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        return self.denoise(x, level, cond)._replace(var_mix=None)


class Network(Protocol):
    """A function ``net(x, t, cond)`` with raw output; t is (B,) float32, as half precision would round it."""

    def __call__(self, x: torch.Tensor, t: torch.Tensor, cond: Cond | None = None) -> torch.Tensor: ...

"""The one function that everything in this package makes, wraps or calls."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch

from ddpm.core.condition import Cond
from ddpm.core.level import Level


class Denoised(NamedTuple):
    """What a denoiser believes.

    Attributes:
        x0: (B, C, *space), the expected clean image, images in [-1, 1].
        var_mix: like x0 in about [0, 1] where the variance is learned: the place between its two bounds.
    """

    x0: torch.Tensor
    var_mix: torch.Tensor | None = None


class Denoiser(Protocol):
    """``denoise(x, level, cond)``: the clean image expected behind x, (B, C, *space), at a level."""

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised: ...


@dataclass(frozen=True, slots=True)
class FixedVariance:
    """A denoiser that keeps the variance it has learned to itself, so that a fixed one takes its place."""

    denoise: Denoiser

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        return self.denoise(x, level, cond)._replace(var_mix=None)


class Network(Protocol):
    """``net(x, t, cond)``: the raw output; t is (B,) float32, as half precision would round it."""

    def __call__(self, x: torch.Tensor, t: torch.Tensor, cond: Cond | None = None) -> torch.Tensor: ...

"""The one function that everything in this package makes, wraps or calls."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch

from ddpm.core.condition import Cond
from ddpm.core.level import Level
from ddpm.core.prediction import Prediction, x0_from_output


class Denoised(NamedTuple):
    """What a denoiser believes.

    Attributes:
        x0: (B, C, *space), the expected clean image, images in [-1, 1].
        var_mix: like x0 in [0, 1] where the network has learned the variance: the place between its two bounds.
    """

    x0: torch.Tensor
    var_mix: torch.Tensor | None = None


class Denoiser(Protocol):
    """``denoise(x, level, cond)``: the clean image expected behind x, (B, C, *space), at a level."""

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised: ...


class Network(Protocol):
    """``net(x, t, cond)``: raw output of x's shape; t is (B,) float32, as half precision would round it."""

    def __call__(self, x: torch.Tensor, t: torch.Tensor, cond: Cond | None = None) -> torch.Tensor: ...


@dataclass(frozen=True, slots=True)
class NetworkDenoiser:
    """A network and what its output means, as a denoiser."""

    net: Network
    prediction: Prediction

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        if isinstance(level.t, torch.Tensor):
            t = level.t.to(x.device, torch.float32)
        else:
            t = torch.full((len(x),), level.t, dtype=torch.float32, device=x.device)
        return Denoised(x0_from_output(self.prediction, self.net(x, t, cond), x, level))

"""The perceptual distance of an autoencoder's loss: between feature maps, with gradients."""

import torch

from ddpm.metrics.features.embedded import Embedded
from ddpm.metrics.features.rgb import on_white

SCALE = 127.5 / 64
"""From [-1, 1] to the network's input range."""


class EmbeddedDistance:
    """The distance between the feature maps of two images in the network of :class:`Embedded`, at their own size.

    As in LPIPS (Zhang et al. 2018, eq. 1), without learned weights: ``mean_l mean_hw |f_l(x) - f_l(y)|²``, where the
    features at each position have length 1. Pictures with an alpha channel are composited on white.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.network = Embedded((32, 32), device).network.requires_grad_(False)

    def __call__(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Two of (B, C, H, W) in [-1, 1], H and W at least 8 -> (B,) float32."""
        with torch.no_grad():
            wanted = self.network.maps(SCALE * on_white(x))
        seen = self.network.maps(SCALE * on_white(y))
        parts = [(_unit(a) - _unit(b)).square().sum(1).mean((1, 2)) for a, b in zip(wanted, seen, strict=True)]
        return torch.stack(parts).mean(0)


def _unit(features: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W) with length 1 over the channels."""
    wide = features.float()
    return wide * (wide.square().sum(1, keepdim=True) + 1e-6).rsqrt()

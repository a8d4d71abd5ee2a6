"""The patch discriminator of Isola et al. 2017."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from ddpm.networks.blocks import conv, normaliser


class PatchDiscriminator(nn.Module):
    """A convolutional network with one logit per patch of an image, positive for real ones (Isola et al. 2017).

    It uses group instead of batch normalisation, so the logits of an image do not depend on its batch.

    Attributes:
        active: 1 while it takes part in training, then 0.
        best: The best held-out PSNR since the model has been trained against it, in dB.
    """

    active: torch.Tensor
    best: torch.Tensor

    def __init__(self, channels: int, width: int, layers: int) -> None:
        super().__init__()
        widths = [width * min(2**i, 8) for i in range(layers + 1)]
        self.first = conv(2, channels, width, 4, stride=2, padding=1)
        # all layers but the last two halve the resolution
        halving = [True] * (layers - 1) + [False]
        self.hidden = nn.ModuleList(
            nn.Sequential(
                conv(2, a, b, 4 if half else 3, stride=2 if half else 1, padding=1),
                normaliser("group", b),
            )
            for half, (a, b) in zip(halving, pairwise(widths), strict=True)
        )
        self.last = conv(2, widths[-1], 1, 3, padding=1)
        self.register_buffer("active", torch.tensor(1.0))
        self.register_buffer("best", torch.tensor(-torch.inf))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images (B, C, H, W) -> logits (B, 1, H', W')."""
        h = F.leaky_relu(self.first(x), 0.2)
        for layer in self.hidden:
            h = F.leaky_relu(layer(h), 0.2)
        out: torch.Tensor = self.last(h)
        return out

"""A small distilled autoencoder, TAESD."""

import torch
from torch import nn

from ddpm.config.tiny_autoencoder import TinyAutoencoderSettings
from ddpm.networks.autoencoder import SURE

LIMIT = 3.0
"""Latents are softly limited to this magnitude before they are decoded."""


class TinyBlock(nn.Module):
    """Three convolutions on a residual branch, and a rectifier after the sum."""

    def __init__(self, width: int) -> None:
        super().__init__()
        first, *others = (nn.Conv2d(width, width, 3, padding=1) for _ in range(3))
        self.conv = nn.Sequential(first, *(part for layer in others for part in (nn.ReLU(), layer)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, width, H, W) -> (B, width, H, W)."""
        return torch.relu(self.conv(x) + x)


class TinyAutoencoder(nn.Module):
    """An encoder to latents without noise, and a decoder, distilled from a larger autoencoder.

    Attributes:
        outer: The modules whose weights Muon leaves to AdamW; it is not trained here.
    """

    outer = ()

    def __init__(self, settings: TinyAutoencoderSettings) -> None:
        super().__init__()
        self.settings = s = settings
        down: list[nn.Module] = []
        for blocks in s.encoder_blocks:
            down.append(
                nn.Conv2d(s.width, s.width, 3, stride=2, padding=1, bias=False)
                if down
                else nn.Conv2d(s.image_channels, s.width, 3, padding=1)
            )
            down += [TinyBlock(s.width) for _ in range(blocks)]
        self.encoder = nn.Sequential(*down, nn.Conv2d(s.width, s.channels, 3, padding=1))
        up: list[nn.Module] = [nn.Conv2d(s.channels, s.width, 3, padding=1), nn.ReLU()]
        *coarser, finest = s.decoder_blocks
        for blocks in coarser:
            up += [TinyBlock(s.width) for _ in range(blocks)]
            up += [nn.Upsample(scale_factor=2), nn.Conv2d(s.width, s.width, 3, padding=1, bias=False)]
        up += [TinyBlock(s.width) for _ in range(finest)]
        self.decoder = nn.Sequential(*up, nn.Conv2d(s.width, s.image_channels, 3, padding=1))

    def moments(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The latents, and the log of their variance, which is that of none.

        Args:
            x: Images (B, image_channels, H, W) in [-1, 1].

        Returns:
            Two of (B, channels, H / factor, W / factor).
        """
        z = self.encoder((x + 1) / 2)
        return z, torch.full_like(z, SURE)

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Latents (B, channels, h, w) -> images (B, image_channels, h · factor, w · factor), roughly in [-1, 1]."""
        out: torch.Tensor = self.decoder(LIMIT * torch.tanh(z / LIMIT))
        return out * 2 - 1

"""The convolutional autoencoder of Rombach et al. 2022."""

from collections.abc import Iterable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from ddpm.config.autoencoder import AutoencoderSettings
from ddpm.networks.blocks import (
    Attention,
    Downsample,
    Upsample,
    conv,
    depth_to_space,
    normaliser,
    space_to_depth,
    zero,
)

SPACE = 2
"""The number of spatial axes."""
QUIET = -6.0
"""The initial log-variance of the latents: little noise, so that it does not hide what the encoder learns at first."""


class ResidualBlock(nn.Module):
    """A residual block of two convolutions; the identity at initialisation if the number of channels stays the same."""

    def __init__(self, s: AutoencoderSettings, channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm1 = normaliser(s.norm, channels, s.norm_groups)
        self.conv1 = conv(SPACE, channels, out_channels, 3, padding=1)
        self.norm2 = normaliser(s.norm, out_channels, s.norm_groups)
        self.conv2 = zero(conv(SPACE, out_channels, out_channels, 3, padding=1))
        same = channels == out_channels
        self.shortcut = nn.Identity() if same else conv(SPACE, channels, out_channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, channels, H, W) -> (B, out_channels, H, W)."""
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        out: torch.Tensor = self.shortcut(x) + h
        return out


def _blocks(s: AutoencoderSettings, channels: Iterable[int]) -> list[nn.Module]:
    """Residual blocks from each number of channels to the next."""
    return [ResidualBlock(s, c, out) for c, out in pairwise(channels)]


def _middle(s: AutoencoderSettings, channels: int) -> nn.Sequential:
    attention = [Attention(channels, norm=s.norm, groups=s.norm_groups)] if s.attention else []
    return nn.Sequential(ResidualBlock(s, channels, channels), *attention, ResidualBlock(s, channels, channels))


class Encoder(nn.Module):
    """The network from an image to the moments of its latents."""

    def __init__(self, s: AutoencoderSettings) -> None:
        super().__init__()
        self.patch = s.patch
        finest, coarsest = s.widths[0], s.widths[-1]
        self.conv_in = conv(SPACE, s.image_channels * s.patch**SPACE, finest, 3, padding=1)
        levels: list[nn.Module] = []
        for before, out in zip((finest, *s.widths), s.widths, strict=False):
            down = [Downsample(SPACE, before)] if levels else []
            levels.append(nn.Sequential(*down, *_blocks(s, [before] + [out] * s.blocks)))
        self.levels = nn.Sequential(*levels)
        self.middle = _middle(s, coarsest)
        self.norm_out = normaliser(s.norm, coarsest, s.norm_groups)
        self.conv_out = conv(SPACE, coarsest, 2 * s.channels, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, image_channels, H, W) -> (B, 2 · channels, H / factor, W / factor)."""
        h = self.middle(self.levels(self.conv_in(space_to_depth(x, self.patch))))
        out: torch.Tensor = self.conv_out(F.silu(self.norm_out(h)))
        return out


class Decoder(nn.Module):
    """The network from latents to an image."""

    def __init__(self, s: AutoencoderSettings) -> None:
        super().__init__()
        self.patch = s.patch
        finest, coarsest = s.widths[0], s.widths[-1]
        self.conv_in = conv(SPACE, s.channels, coarsest, 3, padding=1)
        self.middle = _middle(s, coarsest)
        levels: list[nn.Module] = []
        down = s.widths[::-1]
        for before, out in zip((coarsest, *down), down, strict=False):
            up = [Upsample(SPACE, before)] if levels else []
            levels.append(nn.Sequential(*up, *_blocks(s, [before] + [out] * (s.blocks + 1))))
        self.levels = nn.Sequential(*levels)
        self.norm_out = normaliser(s.norm, finest, s.norm_groups)
        self.conv_out = conv(SPACE, finest, s.image_channels * s.patch**SPACE, 3, padding=1)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """(B, channels, h, w) -> (B, image_channels, h · factor, w · factor)."""
        h = self.levels(self.middle(self.conv_in(z)))
        return depth_to_space(self.conv_out(F.silu(self.norm_out(h))), self.patch)


class Autoencoder(nn.Module):
    """An encoder to a diagonal normal distribution of latents, and a decoder (Rombach et al. 2022, sec. 3.1, app. G).

    Attributes:
        outer: The modules whose weights Muon leaves to AdamW.
    """

    outer = ("quant", "post_quant")

    def __init__(self, settings: AutoencoderSettings) -> None:
        super().__init__()
        self.settings = settings
        self.encoder = Encoder(settings)
        self.quant = conv(SPACE, 2 * settings.channels, 2 * settings.channels, 1)
        self.post_quant = conv(SPACE, settings.channels, settings.channels, 1)
        self.decoder = Decoder(settings)
        with torch.no_grad():
            assert self.quant.bias is not None
            self.quant.bias[settings.channels :] = QUIET

    def moments(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The mean and the log of the variance of the latents.

        The log of the variance is clamped to [-30, 20], as in Rombach et al.'s code.

        Args:
            x: Images (B, image_channels, H, W) in [-1, 1].

        Returns:
            Two of (B, channels, H / factor, W / factor).

        Raises:
            ValueError: if ``settings.factor`` does not divide each side of x.
        """
        factor = self.settings.factor
        if x.shape[-2] % factor or x.shape[-1] % factor:
            raise ValueError(f"size {x.shape[-2]}×{x.shape[-1]} is not divisible by {factor}, the autoencoder's factor")
        mean, logvar = self.quant(self.encoder(x)).chunk(2, dim=1)
        return mean, logvar.clamp(-30, 20)

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Latents (B, channels, h, w) -> images (B, image_channels, h · factor, w · factor), roughly in [-1, 1]."""
        out: torch.Tensor = self.decoder(self.post_quant(z))
        return out

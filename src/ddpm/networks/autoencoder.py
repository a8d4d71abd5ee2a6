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
POSITIONS = 4096
"""The latents at a time whose distances to all vectors of a codebook are in memory."""
SURE = -30.0
"""The log-variance of latents without noise: the least that any has."""
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


def _moments(s: AutoencoderSettings, channels: int) -> int:
    """The number of channels that describe the distribution of this many."""
    return 2 * channels if s.stochastic else channels


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
        self.conv_out = conv(SPACE, coarsest, _moments(s, s.inner_channels or s.channels), 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, image_channels, H, W) -> (B, C, H / factor, W / factor): the mean and the log-variance of the latents.

        C is 2 · inner_channels, or inner_channels for latents alone if the settings are not stochastic.
        """
        h = self.middle(self.levels(self.conv_in(space_to_depth(x, self.patch))))
        out: torch.Tensor = self.conv_out(F.silu(self.norm_out(h)))
        return out


class Decoder(nn.Module):
    """The network from latents to an image."""

    def __init__(self, s: AutoencoderSettings) -> None:
        super().__init__()
        self.patch = s.patch
        finest, coarsest = s.widths[0], s.widths[-1]
        self.conv_in = conv(SPACE, s.inner_channels or s.channels, coarsest, 3, padding=1)
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
        """(B, inner_channels, h, w) -> (B, image_channels, h · factor, w · factor)."""
        h = self.levels(self.middle(self.conv_in(z)))
        return depth_to_space(self.conv_out(F.silu(self.norm_out(h))), self.patch)


class Codebook(nn.Module):
    """Vectors, of which the nearest one takes the place of each latent (van den Oord et al. 2017).

    Args:
        size: their number.
        channels: their length.
    """

    def __init__(self, size: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(size, channels) * 2 / size - 1 / size)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """(B, channels, *space) -> (B, channels, *space)."""
        # (B, C, *space) -> (B, *space, C)
        last = z.movedim(1, -1)
        parts = torch.split(last.reshape(-1, z.shape[1]), POSITIONS)
        nearest = torch.cat([torch.cdist(part, self.weight).argmin(1) for part in parts])
        return self.weight[nearest].reshape(last.shape).movedim(-1, 1)


class Autoencoder(nn.Module):
    """An encoder to a diagonal normal distribution of latents, and a decoder (Rombach et al. 2022, sec. 3.1, app. G).

    Attributes:
        outer: The modules whose weights Muon leaves to AdamW.
    """

    outer = ("quant", "post_quant")

    def __init__(self, settings: AutoencoderSettings) -> None:
        super().__init__()
        self.settings = settings
        inner = settings.inner_channels or settings.channels
        self.encoder = Encoder(settings)
        self.quant = conv(SPACE, _moments(settings, inner), _moments(settings, settings.channels), 1)
        self.post_quant = conv(SPACE, settings.channels, inner, 1)
        self.decoder = Decoder(settings)
        self.codebook = Codebook(settings.codebook, settings.channels) if settings.codebook else nn.Identity()
        with torch.no_grad():
            assert self.quant.bias is not None
            self.quant.bias[settings.channels :] = QUIET

    def moments(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The mean and the log of the variance of the latents.

        The log of the variance is clamped to [-30, 20], as in Rombach et al.'s code; with a codebook it is -30.

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
        out = self.quant(self.encoder(x))
        if not self.settings.stochastic:
            return out, torch.full_like(out, SURE)
        mean, logvar = out.chunk(2, dim=1)
        return mean, logvar.clamp(SURE, 20)

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Latents (B, channels, h, w) -> images (B, image_channels, h · factor, w · factor), roughly in [-1, 1]."""
        out: torch.Tensor = self.decoder(self.post_quant(self.codebook(z)))
        return out

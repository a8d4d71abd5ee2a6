"""The convolutional U-Net of Ho et al. 2020."""

from typing import cast

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from ddpm.config.network import UNetSettings
from ddpm.core import Cond
from ddpm.networks.blocks import (
    Attention,
    Downsample,
    Head,
    LinearUpsample,
    Upsample,
    conv,
    depth_to_space,
    linear,
    normaliser,
    space_to_depth,
    zero,
)
from ddpm.networks.cross_attention import Context, CrossAttention
from ddpm.networks.embeddings import TimeEmbedding, silu
from ddpm.networks.inputs import check_condition, check_size, with_image
from ddpm.system.names import SkipsName


class Block(nn.Module):
    """A residual block of two convolutions conditioned on time, optionally with attention.

    Self-attention is followed by cross-attention where the condition has tokens (Rombach et al. 2022).
    """

    def __init__(self, settings: UNetSettings, channels: int, out_channels: int, *, attend: bool) -> None:
        super().__init__()
        self.checkpoint = settings.checkpoint
        self.scale_shift = settings.scale_shift
        self.norm1 = normaliser(settings.norm, channels)
        self.conv1 = conv(settings.space, channels, out_channels, 3, padding=1)
        self.time = linear(4 * settings.width, out_channels * (2 if settings.scale_shift else 1))
        self.norm2 = normaliser(settings.norm, out_channels)
        self.dropout = nn.Dropout(settings.dropout)
        self.conv2 = zero(conv(settings.space, out_channels, out_channels, 3, padding=1))
        same = channels == out_channels
        self.shortcut = nn.Identity() if same else conv(settings.space, channels, out_channels, 1)
        self.attention = Attention(out_channels, settings.head_width, settings.norm) if attend else nn.Identity()
        self.cross_attention = (
            CrossAttention(out_channels, settings.token_width, settings.head_width, settings.norm)
            if attend and settings.token_width is not None
            else None
        )

    def forward(self, x: torch.Tensor, time: torch.Tensor, context: Context | None = None) -> torch.Tensor:
        """x (B, channels, *space), time (B, 4 · width) -> (B, out_channels, *space)."""
        if self.checkpoint and torch.is_grad_enabled():
            out: torch.Tensor = checkpoint(self._forward, x, time, context, use_reentrant=False)
            return out
        return self._forward(x, time, context)

    def _forward(self, x: torch.Tensor, time: torch.Tensor, context: Context | None) -> torch.Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        # (B, C) -> (B, C, 1, ..., 1)
        time = self.time(time)[(..., *[None] * (x.ndim - 2))]
        if self.scale_shift:
            scale, shift = time.chunk(2, dim=1)
            h = self.norm2(h) * (1 + scale) + shift
        else:
            h = self.norm2(h + time)
        h = self.conv2(self.dropout(F.silu(h)))
        out: torch.Tensor = self.attention(self.shortcut(x) + h)
        if self.cross_attention is not None:
            assert context is not None
            out = self.cross_attention(out, context)
        return out


class Down(nn.Module):
    """One downsampling level: blocks, then half the resolution (except at the coarsest level).

    Attributes:
        skips: "all" outputs are kept for skip connections, or only those of "blocks".
    """

    def __init__(self, blocks: list[Block], downsample: Downsample | None, skips: SkipsName) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.downsample = downsample
        self.skips = skips

    def forward(
        self, x: torch.Tensor, time: torch.Tensor, context: Context | None = None
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The level's output, and the layers' outputs, (B, C, *space), for the skip connections."""
        outputs = []
        for block in self.blocks:
            x = block(x, time, context)
            outputs.append(x)
        if self.downsample is not None:
            x = self.downsample(x)
            outputs += [x] * (self.skips == "all")
        return x, outputs


def way_down(s: UNetSettings) -> tuple[nn.ModuleList, list[int]]:
    """The downsampling levels, and the channels of the outputs kept for skip connections."""
    channels = s.width
    skips = [channels] * (s.skips == "all")
    levels = nn.ModuleList()
    for out, factor in zip(s.channels, s.factors, strict=True):
        blocks = []
        for _ in range(s.blocks):
            blocks.append(Block(s, channels, out, attend=factor in s.attention))
            channels = out
            skips.append(channels)
        coarsest = factor == s.divisor
        if not coarsest and s.skips == "all":
            skips.append(channels)
        levels.append(Down(blocks, None if coarsest else Downsample(s.space, channels), s.skips))
    return levels, skips


class Up(nn.Module):
    """One upsampling level: blocks that each take a skip connection, then twice the resolution."""

    def __init__(self, blocks: list[Block], upsample: nn.Module | None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.upsample = upsample

    def forward(
        self, x: torch.Tensor, time: torch.Tensor, context: Context | None, skips: list[torch.Tensor]
    ) -> torch.Tensor:
        """(B, C, *space) -> (B, C', *space · 2), or at the finest level (B, C', *space). Pops its skips."""
        for block in self.blocks:
            x = block(torch.cat([x, skips.pop()], dim=1), time, context)
        return x if self.upsample is None else self.upsample(x)


class UNet(nn.Module):
    """The U-Net of Ho et al. 2020, app. B, with class conditions as in Dhariwal & Nichol 2021.

    With a ``token_width``, it attends to the condition's tokens. Its output is zero at initialisation.

    Attributes:
        outer: The modules that embed time and condition, whose weights are no hidden matrices.
    """

    outer = ("time", "cond")

    def __init__(self, settings: UNetSettings) -> None:
        super().__init__()
        self.settings = s = settings
        patch_area = s.patch**s.space
        self.time = TimeEmbedding(s.width, 4 * s.width)
        # No bias: it would duplicate the time embedding's.
        self.cond = None if s.cond_width is None else linear(s.cond_width, 4 * s.width, bias=False)
        kernel = 1 if s.stem else 3  # with a stem, the convolutions of pixels see the neighbours
        self.stem = conv(s.space, s.in_channels, s.stem, 3, padding=1) if s.stem else None
        self.conv_in = conv(s.space, (s.stem or s.in_channels) * patch_area, s.width, kernel, padding=kernel // 2)

        self.down, skips = way_down(s)
        channels = s.channels[-1]
        self.middle = nn.ModuleList([Block(s, channels, channels, attend=attend) for attend in (True, False)])

        self.up = nn.ModuleList()
        finer = [None, *s.channels[:-1]]
        for out, factor, after in zip(*map(reversed, (s.channels, s.factors, finer)), strict=True):
            blocks = []
            for _ in range(s.blocks + (s.skips == "all")):
                blocks.append(Block(s, channels + skips.pop(), out, attend=factor in s.attention))
                channels = out
            if after is None:
                self.up.append(Up(blocks, None))
            elif s.upsample == "conv":
                self.up.append(Up(blocks, Upsample(s.space, channels)))
            else:
                self.up.append(Up(blocks, LinearUpsample(s.space, channels, after)))
                channels = after

        self.norm_out = normaliser(s.norm, channels)
        last = conv(s.space, channels, (s.stem or s.out_channels) * patch_area, kernel, padding=kernel // 2)
        self.conv_out = last if s.stem else zero(last)
        self.head = Head(s.space, s.stem, s.out_channels, 4 * s.width) if s.stem else None

    def forward(self, x: torch.Tensor, t: torch.Tensor, cond: Cond | None = None) -> torch.Tensor:
        """x (B, C, *space), t (B,), the condition's vector (B, cond_width) and tokens (B, L, token_width) -> like x.

        The condition's image is concatenated to x: (B, in_channels, *space) in total. The output has ``out_channels``.

        Raises:
            ValueError: if ``settings.divisor`` does not divide each side of x, or a condition is missing or unexpected.
        """
        cond = Cond() if cond is None else cond
        check_size(self.settings, x)
        check_condition(self.settings, given=cond.vector is not None)
        time = self.time(t)
        time = silu(time if self.cond is None else time + self.cond(cond.vector))
        context = Context.of(cond, self.settings.token_width)
        x = with_image(x, cond)
        fine = x if self.stem is None else self.stem(x)
        h = self.conv_in(space_to_depth(fine, self.settings.patch))
        skips = [h] * (self.settings.skips == "all")
        for down in self.down:
            h, kept = down(h, time, context)
            skips += kept
        for block in self.middle:
            h = block(h, time, context)
        for up in self.up:
            h = up(h, time, context, skips)
        out = depth_to_space(self.conv_out(F.silu(self.norm_out(h))), self.settings.patch)
        return out if self.head is None else cast(torch.Tensor, self.head(out, fine, time))

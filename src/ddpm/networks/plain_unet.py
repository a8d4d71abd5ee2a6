"""The U-Nets of Dhariwal & Nichol 2021, Rombach et al. 2022 and diffusers."""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from ddpm.config.plain_unet import PlainUNetSettings, at_level
from ddpm.core import Cond
from ddpm.networks.blocks import Attention, Downsample, GroupNorm, Upsample, conv, linear, zero
from ddpm.networks.cross_attention import Context
from ddpm.networks.embeddings import TimeEmbedding, silu
from ddpm.networks.inputs import check_condition, check_size, with_image
from ddpm.networks.spatial_transformer import SpatialTransformer
from ddpm.system.names import AttentionName

Half = Literal["up", "down"]
"""The half of the network: towards coarser levels, or back."""


def double(x: torch.Tensor) -> torch.Tensor:
    """Upsampling by 2, nearest neighbours: (B, C, *space) -> (B, C, *space · 2)."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def halve(x: torch.Tensor) -> torch.Tensor:
    """Downsampling by 2, averages: (B, C, *space) -> (B, C, *space / 2)."""
    pool = {3: F.avg_pool1d, 4: F.avg_pool2d, 5: F.avg_pool3d}[x.ndim]
    return pool(x, 2)


RESAMPLE: dict[Half, Callable[[torch.Tensor], torch.Tensor]] = {"up": double, "down": halve}


class ResBlock(nn.Module):
    """Two convolutions conditioned on time (Dhariwal & Nichol 2021, app. A).

    Args:
        resample: whether to change the resolution, of the branch after its first activation and of the shortcut.
    """

    def __init__(self, s: PlainUNetSettings, channels: int, out_channels: int, resample: Half | None = None) -> None:
        super().__init__()
        self.scale_shift = s.scale_shift
        self.resample = None if resample is None else RESAMPLE[resample]
        self.norm1 = GroupNorm(channels, s.norm_groups, s.norm_eps)
        self.conv1 = conv(s.space, channels, out_channels, 3, padding=1)
        self.time = linear(s.time_width, out_channels * (2 if s.scale_shift else 1))
        self.norm2 = GroupNorm(out_channels, s.norm_groups, s.norm_eps)
        self.dropout = nn.Dropout(s.dropout)
        self.conv2 = zero(conv(s.space, out_channels, out_channels, 3, padding=1))
        same = channels == out_channels
        self.shortcut = nn.Identity() if same else conv(s.space, channels, out_channels, 1)

    def forward(self, x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        """x (B, channels, *space), time (B, 4 · width) -> (B, out_channels, *space)."""
        h = F.silu(self.norm1(x))
        if self.resample is not None:
            x, h = self.resample(x), self.resample(h)
        h = self.conv1(h)
        # (B, C) -> (B, C, 1, ..., 1)
        time = self.time(time)[(..., *[None] * (x.ndim - 2))]
        if self.scale_shift:
            scale, shift = time.chunk(2, dim=1)
            h = self.norm2(h) * (1 + scale) + shift
        else:
            h = self.norm2(h + time)
        out: torch.Tensor = self.shortcut(x) + self.conv2(self.dropout(F.silu(h)))
        return out


class UNetLayer(nn.Module):
    """A residual block, and the attention that follows it.

    Args:
        level: the level whose heads and depth it has.
    """

    def __init__(self, s: PlainUNetSettings, channels: int, out_channels: int, kind: AttentionName, level: int) -> None:
        super().__init__()
        self.checkpoint = s.checkpoint
        self.block = ResBlock(s, channels, out_channels)
        heads = at_level(s.heads, level)
        self.attention = (
            Attention(out_channels, out_channels // heads, "group", s.norm_groups, s.norm_eps)
            if kind == "self"
            else None
        )
        self.transformer = (
            SpatialTransformer(out_channels, s.token_width, heads, at_level(s.depth, level), s.norm_groups)
            if kind == "transformer"
            else None
        )

    def forward(self, x: torch.Tensor, time: torch.Tensor, context: Context | None) -> torch.Tensor:
        """x (B, channels, *space), time (B, 4 · width) -> (B, out_channels, *space)."""
        if self.checkpoint and torch.is_grad_enabled():
            out: torch.Tensor = checkpoint(self._forward, x, time, context, use_reentrant=False)
            return out
        return self._forward(x, time, context)

    def _forward(self, x: torch.Tensor, time: torch.Tensor, context: Context | None) -> torch.Tensor:
        x = self.block(x, time)
        if self.attention is not None:
            x = self.attention(x)
        return x if self.transformer is None else self.transformer(x, context)


class Resample(nn.Module):
    """The step from a level to the next."""

    def __init__(self, s: PlainUNetSettings, channels: int, level: int, way: Half) -> None:
        super().__init__()
        kind = at_level(s.upsample if way == "up" else s.downsample, level)
        self.way = way
        self.block = ResBlock(s, channels, channels, way) if kind == "residual" else None
        convolved = Upsample(s.space, channels) if way == "up" else Downsample(s.space, channels, s.padding)
        self.conv = convolved if kind == "conv" else None

    def forward(self, x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        """(B, C, *space) -> (B, C, *space · 2 or / 2)."""
        if self.block is not None:
            x = self.block(x, time)
        elif self.conv is not None:
            x = self.conv(x)
        else:
            x = RESAMPLE[self.way](x)
        return x


class Resolution(nn.Module):
    """The layers of one resolution, and the step to the next; None at the end."""

    def __init__(self, layers: list[UNetLayer], resample: Resample | None, way: Half) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.resample = resample
        self.way = way

    def forward(
        self, x: torch.Tensor, time: torch.Tensor, context: Context | None, skips: list[torch.Tensor]
    ) -> torch.Tensor:
        """(B, C, *space) -> (B, C', *space') of the next level. Adds its outputs to the skips, or pops them upwards."""
        for layer in self.layers:
            x = layer(x if self.way == "down" else torch.cat([x, skips.pop()], dim=1), time, context)
            if self.way == "down":
                skips.append(x)
        if self.resample is not None:
            x = self.resample(x, time)
            if self.way == "down":
                skips.append(x)
        return x


def way_down(s: PlainUNetSettings) -> tuple[nn.ModuleList, list[int]]:
    """The downsampling levels, and the channels of the outputs kept for skip connections."""
    channels, last = s.channels[0], len(s.channels) - 1
    skips, levels = [channels], nn.ModuleList()
    for i, out in enumerate(s.channels):
        layers = []
        for _ in range(at_level(s.blocks, i)):
            layers.append(UNetLayer(s, channels, out, at_level(s.attention, i), i))
            channels = out
            skips.append(channels)
        skips += [channels] * (i < last)
        levels.append(Resolution(layers, Resample(s, channels, i, "down") if i < last else None, "down"))
    return levels, skips


def middle(s: PlainUNetSettings) -> nn.ModuleList:
    """The layers between the two halves."""
    channels, last = s.channels[-1], len(s.channels) - 1
    kinds: list[AttentionName] = [s.middle, "none"] if s.middle_blocks == 2 else ["none"] * s.middle_blocks
    return nn.ModuleList(UNetLayer(s, channels, channels, kind, last) for kind in kinds)


class PlainUNet(nn.Module):
    """The U-Nets published by others, to exchange weights with other programs.

    The condition's vector is added to the time embedding. The output is zero at initialisation.

    Attributes:
        outer: The modules that embed time, whose weights Muon leaves to AdamW.
    """

    outer = ("time",)

    def __init__(self, settings: PlainUNetSettings) -> None:
        super().__init__()
        self.settings = s = settings
        self.time = TimeEmbedding(s.width, s.time_width, s.frequency_shift)
        self.conv_in = conv(s.space, s.in_channels, s.channels[0], 3, padding=1)
        self.down, skips = way_down(s)
        self.middle = middle(s)

        channels = s.channels[-1]
        self.up = nn.ModuleList()
        for i, out in reversed(list(enumerate(s.channels))):
            layers = []
            for _ in range(at_level(s.blocks, i) + 1):
                layers.append(UNetLayer(s, channels + skips.pop(), out, at_level(s.attention_up or s.attention, i), i))
                channels = out
            self.up.append(Resolution(layers, Resample(s, channels, i, "up") if i else None, "up"))

        self.norm_out = GroupNorm(channels, s.norm_groups, s.norm_eps)
        self.conv_out = zero(conv(s.space, channels, s.out_channels, 3, padding=1))

    def forward(self, x: torch.Tensor, t: torch.Tensor, cond: Cond | None = None) -> torch.Tensor:
        """x (B, C, *space), t (B,), the condition's vector (B, cond_width) and tokens (B, L, token_width) -> like x.

        The condition's image is concatenated to x: (B, in_channels, *space) in total. The output has ``out_channels``.

        Raises:
            ValueError: if ``settings.divisor`` does not divide each side of x, or a condition is missing or unexpected.
        """
        s, cond = self.settings, Cond() if cond is None else cond
        check_size(s, x)
        check_condition(s, given=cond.vector is not None)
        time = self.time(t)
        time = silu(time if cond.vector is None else time + cond.vector)
        context = Context.of(cond, s.token_width)
        h = self.conv_in(with_image(x, cond))
        skips = [h]
        for level in self.down:
            h = level(h, time, context, skips)
        for layer in self.middle:
            h = layer(h, time, context)
        for level in self.up:
            h = level(h, time, context, skips)
        out: torch.Tensor = self.conv_out(F.silu(self.norm_out(h)))
        return out

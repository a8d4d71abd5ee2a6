"""Building blocks of convolutional networks, for one, two or three spatial axes."""

import math
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import nn

from ddpm.system.names import NormName

_Layer = TypeVar("_Layer", bound="_Conv | nn.Linear")
_Conv = nn.Conv1d | nn.Conv2d | nn.Conv3d
_CONV: dict[int, type[_Conv]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def conv(space: int, channels: int, out_channels: int, kernel: int, *, stride: int = 1, padding: int = 0) -> _Conv:
    """A convolution over ``space`` spatial axes."""
    return _fan_avg(_CONV[space](channels, out_channels, kernel, stride, padding))


def linear(channels: int, out_channels: int, *, bias: bool = True, gain: float = 1.0) -> nn.Linear:
    """A linear layer on the last axis."""
    return _fan_avg(nn.Linear(channels, out_channels, bias), gain)


def zero(layer: _Layer) -> _Layer:
    """A layer with all weights set to zero, for the end of a residual branch, which then starts as zero."""
    for p in layer.parameters():
        nn.init.zeros_(p)
    return layer


def _fan_avg(layer: _Layer, gain: float = 1.0) -> _Layer:
    """Uniform weights of variance gain² over the mean of both fans, zero bias, as in Ho et al.'s code."""
    nn.init.xavier_uniform_(layer.weight, gain)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class GroupNorm(nn.Module):
    """Group normalisation; by default over 32 groups, or over the largest divisor of 32 that divides the channels.

    Always at least float32, as in autocast on GPUs: PyTorch's CPU kernels for bfloat16 in channels-last memory are
    several times slower.
    """

    def __init__(self, channels: int, groups: int | None = None, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.groups = math.gcd(32, channels) if groups is None else groups
        if groups is None and self.groups == channels > 1:
            # A channel alone in its group would lose its mean, and with it the time embedding.
            self.groups //= 2
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, *space) -> (B, C, *space) of the same dtype."""
        wide = torch.promote_types(x.dtype, torch.float32)
        weight, bias = self.weight.to(wide), self.bias.to(wide)
        return F.group_norm(x.to(wide), self.groups, weight, bias, self.eps).to(x.dtype)


class LayerNorm(nn.Module):
    """Normalisation over the channels at each position, as in Liu et al. 2022, with statistics in at least float32.

    On a CPU about twice as fast as :class:`GroupNorm`, as it keeps bfloat16.
    """

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, *space) -> (B, C, *space) of the same dtype."""
        wide = torch.promote_types(x.dtype, torch.float32)
        # only the CPU's kernels take weights wider than x
        narrow = x.dtype if x.device.type == "cpu" else wide
        weight, bias = self.weight.to(wide), self.bias.to(wide)
        with torch.autocast(x.device.type, enabled=False):
            # (B, C, *space) -> (B, *space, C): free where memory is channels-last
            out = F.layer_norm(x.movedim(1, -1).to(narrow), weight.shape, weight, bias, self.eps)
        return out.to(x.dtype).movedim(-1, 1)


def normaliser(name: NormName, channels: int, groups: int | None = None, eps: float = 1e-6) -> GroupNorm | LayerNorm:
    """The normalisation of this name; ``groups`` is the number of groups of :class:`GroupNorm`."""
    return LayerNorm(channels, eps) if name == "layer" else GroupNorm(channels, groups, eps)


def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    """Scaled dot-product attention: three of (B, heads, N, D) -> (B, heads, N, D) of the same dtype.

    The mask, (B, 1, 1, N) bool, is false for keys to ignore.

    With gradients on a CPU and few positions, at least float32: PyTorch's backward pass is then two to three times
    slower in bfloat16. The forward pass alone, or with many positions, is faster in bfloat16.
    """
    if q.device.type != "cpu" or not q.requires_grad or q.shape[-2] > _FEW:
        return F.scaled_dot_product_attention(q, k, v, mask)
    wide = torch.promote_types(q.dtype, torch.float32)
    with torch.autocast("cpu", enabled=False):
        return F.scaled_dot_product_attention(q.to(wide), k.to(wide), v.to(wide), mask).to(q.dtype)


_FEW = 64
"""Up to 64 positions, float32 is 1.0 (16 images, one head of 256) to 2 times as fast; at 196, only 0.8 times."""


class Attention(nn.Module):
    """Self-attention over all positions, on a residual branch (Ho et al. 2020, app. B)."""

    def __init__(
        self,
        channels: int,
        head_width: int | None = None,
        norm: NormName = "group",
        groups: int | None = None,
        eps: float = 1e-6,
    ) -> None:
        super().__init__()
        self.heads = 1 if head_width is None else channels // head_width
        self.norm = normaliser(norm, channels, groups, eps)
        # The gain gives the three parts the scale of three separate layers.
        self.qkv = linear(channels, 3 * channels, gain=math.sqrt(2))
        self.out = zero(linear(channels, channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, *space) -> (B, C, *space)."""
        # (B, C, *space) -> (B, N, C): free where memory is channels-last
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        # (B, N, 3C) -> three of (B, heads, N, C / heads)
        q, k, v = self.qkv(tokens).reshape(*tokens.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        # (B, heads, N, C / heads) -> (B, N, C)
        mixed = attend(q, k, v).transpose(1, 2).flatten(2)
        out: torch.Tensor = self.out(mixed)
        return x + out.transpose(1, 2).reshape(x.shape)


class Downsample(nn.Module):
    """Downsampling by 2: a convolution of stride 2.

    Args:
        padding: the zeros at both ends of each axis; if 0, there is one only at the far end.
    """

    def __init__(self, space: int, channels: int, padding: int = 0) -> None:
        super().__init__()
        self.conv = conv(space, channels, channels, 3, stride=2, padding=padding)
        self.far = 1 - padding

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, *space) -> (B, C, *space / 2)."""
        out: torch.Tensor = self.conv(F.pad(x, (0, self.far) * (x.ndim - 2)))
        return out


class Upsample(nn.Module):
    """Upsampling by 2: nearest neighbours, then a convolution, by default to as many channels."""

    def __init__(self, space: int, channels: int, out_channels: int | None = None) -> None:
        super().__init__()
        self.conv = conv(space, channels, out_channels or channels, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, channels, *space) -> (B, out_channels, *space · 2)."""
        out: torch.Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return out


class LinearUpsample(nn.Module):
    """Upsampling by 2: a linear map to the finer level's channels, then nearest neighbours.

    The next block's convolutions smooth it. Much cheaper than a convolution of all channels at twice the resolution.
    """

    def __init__(self, space: int, channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = conv(space, channels, out_channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, channels, *space) -> (B, out_channels, *space · 2)."""
        return F.interpolate(self.conv(x), scale_factor=2.0, mode="nearest")


class Head(nn.Module):
    """The end of a network that starts with a stem: two convolutions of the pixels, conditioned on time.

    They see across patches. The last also sees the stem's features with a gain that depends on time, so that the noise
    of each pixel need not pass through the patches, which may have fewer channels than pixels.

    Args:
        stem: the channels of the stem, and of each pixel of a patch.
        time_width: those of the time embedding.
    """

    def __init__(self, space: int, stem: int, out_channels: int, time_width: int) -> None:
        super().__init__()
        self.mix = conv(space, 2 * stem, 2 * stem, 3, padding=1)
        self.time = linear(time_width, 5 * stem)
        self.conv = zero(conv(space, 3 * stem, out_channels, 3, padding=1))

    def forward(self, x: torch.Tensor, stem: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        """Two of (B, stem, *space), time (B, time_width) -> (B, out_channels, *space)."""
        n = stem.shape[1]
        # (B, C) -> (B, C, 1, ..., 1)
        scale, shift, gain = self.time(time)[(..., *[None] * (x.ndim - 2))].split([2 * n, 2 * n, n], dim=1)
        mixed = F.silu(self.mix(torch.cat([x, stem], dim=1)) * (1 + scale) + shift)
        out: torch.Tensor = self.conv(torch.cat([mixed, stem * (1 + gain)], dim=1))
        return out


def space_to_depth(x: torch.Tensor, patch: int) -> torch.Tensor:
    """Turn each patch of pixels into one position: (B, C, *space) -> (B, C · patch**axes, *space / patch)."""
    b, c, *space = x.shape
    axes = len(space)
    # (B, C, h · p, w · p) -> (B, C, h, p, w, p) -> (B, C, p, p, h, w) -> (B, C · p · p, h, w)
    x = x.reshape(b, c, *[n for side in space for n in (side // patch, patch)])
    x = x.permute(0, 1, *range(3, 3 + 2 * axes, 2), *range(2, 2 + 2 * axes, 2))
    return x.flatten(1, 1 + axes)


def depth_to_space(x: torch.Tensor, patch: int) -> torch.Tensor:
    """The inverse of :func:`space_to_depth`: (B, C · patch**axes, *space) -> (B, C, *space · patch)."""
    b, _, *space = x.shape
    axes = len(space)
    # (B, C · p · p, h, w) -> (B, C, p, p, h, w) -> (B, C, h, p, w, p) -> (B, C, h · p, w · p)
    x = x.reshape(b, -1, *[patch] * axes, *space)
    x = x.permute(0, 1, *[i for axis in range(2, 2 + axes) for i in (axis + axes, axis)])
    return x.reshape(b, -1, *[side * patch for side in space])

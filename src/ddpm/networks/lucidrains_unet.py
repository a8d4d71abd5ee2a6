"""The U-Net of lucidrains' denoising-diffusion-pytorch."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from ddpm.config.lucidrains_unet import LucidrainsUNetSettings
from ddpm.core import Cond
from ddpm.networks.blocks import Upsample, attend, conv, linear, space_to_depth, zero
from ddpm.networks.embeddings import LANES, silu, sinusoid
from ddpm.networks.inputs import check_condition, check_size, refuse_tokens, with_image
from ddpm.system.names import AttentionFormName


class ChannelNorm(nn.Module):
    """Division by the root mean square of the channels at each position (Zhang & Sennrich 2019), without an epsilon."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, *space) -> (B, C, *space) of the same dtype, computed in at least float32."""
        wide = torch.promote_types(x.dtype, torch.float32)
        # (C,) -> (C, 1, ..., 1)
        weight = self.weight.to(wide).mul(math.sqrt(x.shape[1]))[(..., *[None] * (x.ndim - 2))]
        return (F.normalize(x.to(wide), dim=1) * weight).to(x.dtype)


class TimeMLP(nn.Module):
    """A sinusoidal embedding followed by a two-layer perceptron with GELU: (B,) -> (B, 4 · width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.linear1 = linear(width, 4 * width)
        self.linear2 = linear(4 * width, 4 * width)

    def forward(self, t: torch.Tensor) -> torch.Tensor:
        """t (B,) -> (B, 4 · width) of the weights' dtype."""
        hidden = self.linear1(sinusoid(t, self.width).to(self.linear1.weight))
        # full vectors, so that the result of a row does not depend on its position in the batch
        hidden = F.gelu(F.pad(hidden, (0, -hidden.shape[1] % LANES)))[:, : hidden.shape[1]]
        out: torch.Tensor = self.linear2(hidden)
        return out


class NormedBlock(nn.Module):
    """Two convolutions, each normalised and activated after it; the time embedding scales and shifts the first."""

    def __init__(self, s: LucidrainsUNetSettings, channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = conv(s.space, channels, out_channels, 3, padding=1)
        self.norm1 = ChannelNorm(out_channels)
        self.time = linear(4 * s.width, 2 * out_channels)
        self.dropout = nn.Dropout(s.dropout)
        self.conv2 = conv(s.space, out_channels, out_channels, 3, padding=1)
        self.norm2 = ChannelNorm(out_channels)
        same = channels == out_channels
        self.shortcut = nn.Identity() if same else conv(s.space, channels, out_channels, 1)

    def forward(self, x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        """x (B, channels, *space), time (B, 4 · width) -> (B, out_channels, *space)."""
        # (B, 2C) -> two of (B, C, 1, ..., 1)
        scale, shift = self.time(time)[(..., *[None] * (x.ndim - 2))].chunk(2, dim=1)
        h = self.dropout(F.silu(self.norm1(self.conv1(x)) * (scale + 1) + shift))
        out: torch.Tensor = F.silu(self.norm2(self.conv2(h))) + self.shortcut(x)
        return out


class MemoryAttention(nn.Module):
    """Attention to all positions and to learned keys and values, on a residual branch.

    Args:
        form: "full", or "linear" in the number of positions (Shen et al. 2018): softmax of each query over its
            channels and of each channel of the keys over the positions, then normalised.
    """

    def __init__(self, channels: int, heads: int, head_width: int, memory: int, form: AttentionFormName) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels)
        self.qkv = linear(channels, 3 * heads * head_width, bias=False, gain=math.sqrt(2))
        self.memory = nn.Parameter(torch.randn(2, heads, memory, head_width))
        self.out = linear(heads * head_width, channels)
        self.norm_out = ChannelNorm(channels) if form == "linear" else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, *space) -> (B, C, *space)."""
        # (B, C, *space) -> (B, N, C)
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        _, heads, _, width = self.memory.shape
        # (B, N, 3 · heads · D) -> three of (B, heads, N, D)
        q, k, v = self.qkv(tokens).unflatten(2, (3, heads, width)).permute(2, 0, 3, 1, 4)
        # (heads, M, D) -> (B, heads, M + N, D)
        k, v = (
            torch.cat([own.to(of).expand(x.shape[0], -1, -1, -1), of], dim=2)
            for own, of in zip(self.memory, (k, v), strict=True)
        )
        mixed = attend(q, k, v) if self.norm_out is None else _linear(q, k, v)
        # (B, heads, N, D) -> (B, C, *space)
        out: torch.Tensor = self.out(mixed.transpose(1, 2).flatten(2)).transpose(1, 2).reshape(x.shape)
        return x + (out if self.norm_out is None else self.norm_out(out))


def _linear(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Linear attention of (B, heads, N, D) to keys and values (B, heads, M, D), in at least float32."""
    wide = torch.promote_types(q.dtype, torch.float32)
    with torch.autocast(q.device.type, enabled=False):
        # (B, heads, D, D)
        context = k.to(wide).softmax(dim=2).transpose(2, 3) @ v.to(wide)
        out: torch.Tensor = q.to(wide).softmax(dim=3) * q.shape[3] ** -0.5 @ context
        return out.to(q.dtype)


class LucidrainsLevel(nn.Module):
    """Two blocks and attention, and the step to the next level.

    Args:
        up: whether the blocks take skip connections, rather than the outputs being kept for them.
    """

    def __init__(self, blocks: list[NormedBlock], attention: MemoryAttention, resample: nn.Module, *, up: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.attention = attention
        self.resample = resample
        self.up = up

    def forward(self, x: torch.Tensor, time: torch.Tensor, skips: list[torch.Tensor]) -> torch.Tensor:
        """(B, C, *space) -> (B, C', *space'). Adds its outputs to the skips, or pops them upwards."""
        first, second = self.blocks
        x = first(torch.cat([x, skips.pop()], dim=1) if self.up else x, time)
        if not self.up:
            skips.append(x)
        x = self.attention(second(torch.cat([x, skips.pop()], dim=1) if self.up else x, time))
        if not self.up:
            skips.append(x)
        out: torch.Tensor = self.resample(x)
        return out


class Fold(nn.Module):
    """Downsampling by 2: each patch of 2 positions per axis becomes one, then a linear map of its channels."""

    def __init__(self, space: int, channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = conv(space, channels * 2**space, out_channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, channels, *space) -> (B, out_channels, *space / 2)."""
        out: torch.Tensor = self.conv(space_to_depth(x, 2))
        return out


class LucidrainsUNet(nn.Module):
    """The U-Net of lucidrains' program, to exchange weights with it.

    A condition's vector, which that program does not have, is added to the time embedding. The output is zero at
    initialisation.

    Attributes:
        outer: The modules that embed time and condition, and the memories, whose weights Muon leaves to AdamW.
    """

    outer = ("time", "cond", "memory")

    def __init__(self, settings: LucidrainsUNetSettings) -> None:
        super().__init__()
        self.settings = s = settings
        self.time = TimeMLP(s.width)
        self.cond = None if s.cond_width is None else linear(s.cond_width, 4 * s.width, bias=False)
        stem, last, middle = s.channels[0], len(s.multipliers) - 1, s.channels[-1]
        self.conv_in = conv(s.space, s.in_channels, stem, 7, padding=3)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for i, (finer, coarser) in enumerate(zip(s.channels, s.channels[1:], strict=False)):
            blocks = [NormedBlock(s, finer, finer) for _ in range(2)]
            down = Fold(s.space, finer, coarser) if i < last else conv(s.space, finer, coarser, 3, padding=1)
            self.down.append(LucidrainsLevel(blocks, self._attention(finer, i), down, up=False))
        self.middle = nn.ModuleList(NormedBlock(s, middle, middle) for _ in range(2))
        self.attention = MemoryAttention(middle, s.heads[-1], s.head_width[-1], s.memory, "full")
        for i in reversed(range(last + 1)):
            finer, coarser = s.channels[i], s.channels[i + 1]
            blocks = [NormedBlock(s, coarser + finer, coarser) for _ in range(2)]
            up = Upsample(s.space, coarser, finer) if i else conv(s.space, coarser, finer, 3, padding=1)
            self.up.append(LucidrainsLevel(blocks, self._attention(coarser, i), up, up=True))
        self.last = NormedBlock(s, 2 * stem, stem)
        self.conv_out = zero(conv(s.space, stem, s.out_channels, 1))

    def _attention(self, channels: int, level: int) -> MemoryAttention:
        s = self.settings
        return MemoryAttention(channels, s.heads[level], s.head_width[level], s.memory, s.attention[level])

    def forward(self, x: torch.Tensor, t: torch.Tensor, cond: Cond | None = None) -> torch.Tensor:
        """x (B, C, *space), t (B,), the condition's vector (B, cond_width) -> (B, out_channels, *space).

        The condition's image is concatenated to x: (B, in_channels, *space) in total.

        Raises:
            ValueError: if ``settings.divisor`` does not divide each side of x, or a condition is missing or unexpected.
        """
        cond = Cond() if cond is None else cond
        check_size(self.settings, x)
        check_condition(self.settings, given=cond.vector is not None)
        refuse_tokens(cond)
        time = self.time(t)
        # every block activates it first
        time = silu(time if self.cond is None else time + self.cond(cond.vector))
        stem = h = self.conv_in(with_image(x, cond))
        skips: list[torch.Tensor] = []
        for level in self.down:
            h = level(h, time, skips)
        first, second = self.middle
        h = second(self.attention(first(h, time)), time)
        for level in self.up:
            h = level(h, time, skips)
        out: torch.Tensor = self.conv_out(self.last(torch.cat([h, stem], dim=1), time))
        return out

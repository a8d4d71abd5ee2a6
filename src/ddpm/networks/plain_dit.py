"""The original diffusion transformer (Peebles & Xie 2023)."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from ddpm.config.dit import PlainDiTSettings
from ddpm.core import Cond
from ddpm.networks.blocks import linear, zero
from ddpm.networks.dit import FREQUENCIES
from ddpm.networks.embeddings import TimeEmbedding, silu
from ddpm.networks.inputs import check_condition, check_size, refuse_tokens, with_image
from ddpm.networks.transformer import SelfAttention, patches, unpatched


def modulated(
    x: torch.Tensor, shift: torch.Tensor, scale: torch.Tensor, dtype: torch.dtype, eps: float = 1e-6
) -> torch.Tensor:
    """``norm(x) · (1 + scale) + shift`` in at least float32, returned in the dtype of the next layer."""
    return (F.layer_norm(x, x.shape[-1:], eps=eps) * (1 + scale) + shift).to(dtype)


def positions(sides: Sequence[int], width: int, device: torch.device) -> torch.Tensor:
    """Sines, then cosines, of the positions along each axis, the last axis first: (N, width).

    Each axis has ``width / axes`` of them, with frequencies from 1 down to almost 1 / 10000.
    """
    half = width // len(sides) // 2
    frequency = torch.exp(torch.arange(half, dtype=torch.float32, device=device) * (-math.log(10_000) / half))
    parts = []
    for i, n in reversed(list(enumerate(sides))):
        angle = torch.arange(n, dtype=torch.float32, device=device)[:, None] * frequency
        # (n, 2 · half) -> (n, 1, …, 1, 2 · half) -> (*sides, 2 · half)
        table = torch.cat([angle.sin(), angle.cos()], dim=1).reshape(n, *[1] * (len(sides) - 1 - i), -1)
        parts.append(table.expand(*sides, -1))
    return torch.cat(parts, dim=-1).flatten(0, -2)


class PlainBlock(nn.Module):
    """Attention and an MLP on residual branches with adaLN-zero (Peebles & Xie 2023, sec. 3.2)."""

    def __init__(self, settings: PlainDiTSettings) -> None:
        super().__init__()
        width = settings.width
        self.checkpoint, self.norm_eps = settings.checkpoint, settings.norm_eps
        self.modulation = zero(linear(width, 6 * width))
        self.attention = SelfAttention(width, settings.heads, norm=False)
        self.linear1 = linear(width, 4 * width)
        self.linear2 = linear(4 * width, width)

    def forward(self, x: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        """x (B, N, width), embedding (B, width) -> (B, N, width)."""
        if self.checkpoint and torch.is_grad_enabled():
            out: torch.Tensor = checkpoint(self._forward, x, embedding, use_reentrant=False)
            return out
        return self._forward(x, embedding)

    def _forward(self, x: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        dtype = self.linear1.weight.dtype
        # (B, 6 · width) -> six of (B, 1, width)
        six = self.modulation(embedding).to(x)[:, None].chunk(6, dim=2)
        x = x + six[2] * self.attention(modulated(x, six[0], six[1], dtype))
        normed = modulated(x, six[3], six[4], dtype, self.norm_eps)
        hidden = F.gelu(self.linear1(normed), approximate="tanh")
        out: torch.Tensor = x + six[5] * self.linear2(hidden)
        return out


class PlainDiT(nn.Module):
    """The network of Peebles & Xie 2023 with adaLN-zero, to exchange weights with other programs.

    Its positions are fixed sines and cosines, so it works only at sizes close to that of training. The output is zero
    at initialisation.

    Attributes:
        outer: The modules that embed time, whose weights Muon leaves to AdamW.
    """

    outer = ("time", "modulation")

    def __init__(self, settings: PlainDiTSettings) -> None:
        super().__init__()
        self.settings = s = settings
        area = s.patch**s.space
        self.time = TimeEmbedding(FREQUENCIES, s.width, s.frequency_shift)
        self.embed = linear(s.in_channels * area, s.width)
        self.blocks = nn.ModuleList(PlainBlock(s) for _ in range(s.depth))
        self.modulation = zero(linear(s.width, 2 * s.width))
        self.out = zero(linear(s.width, s.out_channels * area))

    def forward(self, x: torch.Tensor, t: torch.Tensor, cond: Cond | None = None) -> torch.Tensor:
        """x (B, C, *space), t (B,), the condition's vector (B, width) -> (B, out_channels, *space).

        The condition's image is concatenated to x: (B, in_channels, *space) in total.

        Raises:
            ValueError: if the patch does not divide each side of x, or a condition is missing or unexpected.
        """
        s, cond = self.settings, Cond() if cond is None else cond
        check_size(s, x)
        check_condition(s, given=cond.vector is not None)
        refuse_tokens(cond)
        x = with_image(x, cond)
        time = self.time(t)
        embedding = silu(time if cond.vector is None else time + cond.vector)
        sides = [side // s.patch for side in x.shape[2:]]
        # float32 in any precision, as the positions are
        tokens = self.embed(patches(x, s.patch)) + positions(sides, s.width, x.device)
        for block in self.blocks:
            tokens = block(tokens, embedding)
        # (B, 2 · width) -> two of (B, 1, width)
        shift, scale = self.modulation(embedding).to(tokens)[:, None].chunk(2, dim=2)
        out = self.out(modulated(tokens, shift, scale, self.out.weight.dtype))
        return unpatched(out, s.patch, x.shape[2:])

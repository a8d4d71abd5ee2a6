"""Transformers of the positions of a feature map that attend to tokens (Rombach et al. 2022, sec. 3.3)."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from ddpm.networks.blocks import GroupNorm, attend, linear, zero
from ddpm.networks.cross_attention import Context
from ddpm.networks.transformer import SelfAttention


class TokenAttention(nn.Module):
    """Attention of positions to tokens of width E, without a norm or residual connection."""

    def __init__(self, width: int, token_width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = linear(width, width, bias=False)
        # The gain gives the two parts the scale of two separate layers.
        gain = math.sqrt((token_width + 2 * width) / (token_width + width))
        self.kv = linear(token_width, 2 * width, bias=False, gain=gain)
        self.out = linear(width, width)

    def forward(self, x: torch.Tensor, context: Context) -> torch.Tensor:
        """(B, N, width) -> (B, N, width)."""
        # (B, N, width) -> (B, heads, N, width / heads)
        q = self.q(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
        # (B, L, 2 · width) -> two of (B, heads, L, width / heads)
        k, v = self.kv(context.tokens).unflatten(2, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        out: torch.Tensor = self.out(attend(q, k, v, context.mask).transpose(1, 2).flatten(2))
        return out


class GEGLU(nn.Module):
    """A gated feed-forward network, ``out(a · gelu(b))`` (Shazeer 2020), four times as wide."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gated = linear(width, 8 * width, gain=2**0.5)
        self.out = linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, N, width) -> (B, N, width)."""
        a, b = self.gated(x).chunk(2, dim=-1)
        out: torch.Tensor = self.out(a * F.gelu(b))
        return out


class TransformerLayer(nn.Module):
    """Self-attention, attention to tokens, and a feed-forward network, on normalised residual branches.

    Args:
        token_width: E; without it, there is no attention to tokens.
    """

    def __init__(self, width: int, token_width: int | None, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), None if token_width is None else nn.LayerNorm(width)
        self.norm3 = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads, norm=False, bias=False)
        self.cross_attention = None if token_width is None else TokenAttention(width, token_width, heads)
        self.mlp = GEGLU(width)

    def forward(self, x: torch.Tensor, context: Context | None) -> torch.Tensor:
        """(B, N, width) -> (B, N, width)."""
        x = x + self.attention(self.norm1(x))
        if self.cross_attention is not None:
            assert self.norm2 is not None
            assert context is not None
            x = x + self.cross_attention(self.norm2(x), context)
        out: torch.Tensor = x + self.mlp(self.norm3(x))
        return out


class SpatialTransformer(nn.Module):
    """A transformer of all positions, on a residual branch that is zero at initialisation.

    Args:
        token_width: E of the tokens to attend to; None for none.
        groups: the groups of the normalisation before it.
    """

    def __init__(self, channels: int, token_width: int | None, heads: int, depth: int, groups: int) -> None:
        super().__init__()
        self.norm = GroupNorm(channels, groups)
        self.embed = linear(channels, channels)
        self.layers = nn.ModuleList(TransformerLayer(channels, token_width, heads) for _ in range(depth))
        self.out = zero(linear(channels, channels))

    def forward(self, x: torch.Tensor, context: Context | None) -> torch.Tensor:
        """(B, C, *space) -> (B, C, *space)."""
        # (B, C, *space) -> (B, N, C): free where memory is channels-last
        tokens = self.embed(self.norm(x).flatten(2).transpose(1, 2))
        for layer in self.layers:
            tokens = layer(tokens, context)
        out: torch.Tensor = self.out(tokens)
        return x + out.transpose(1, 2).reshape(x.shape)

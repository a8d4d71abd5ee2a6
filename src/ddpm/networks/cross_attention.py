"""Attention of an image to the tokens of a condition."""

import math
from typing import NamedTuple

import torch
from torch import nn

from ddpm.core import Cond
from ddpm.networks.blocks import attend, linear, normaliser, zero
from ddpm.system.names import NormName


class Context(NamedTuple):
    """The tokens of a condition, as cross-attention reads them.

    Attributes:
        tokens: (B, L, E).
        mask: (B, 1, 1, L) bool, false for padding; None if there is none.
    """

    tokens: torch.Tensor
    mask: torch.Tensor | None

    @classmethod
    def of(cls, cond: Cond, width: int | None) -> "Context | None":
        """The context of a network that attends to tokens of this width, or to none if it is None.

        Raises:
            ValueError: if tokens are missing or unexpected.
        """
        tokens = cond.tokens
        if width is None:
            if tokens is not None:
                raise ValueError("this network takes no tokens; leave them out, or build the network with token_width")
            return None
        if tokens is None:
            raise ValueError("this network requires tokens; use the null condition for no prompt in particular")
        return cls(tokens, None if cond.weights is None else cond.weights[:, None, None] != 0)


class CrossAttention(nn.Module):
    """Attention of all positions to tokens of width E, on a residual branch (Rombach et al. 2022, sec. 3.3).

    ``x + out(softmax(q(norm(x)) k(tokens)ᵀ / sqrt(head_width)) v(tokens))``, without biases but that of ``out``.
    """

    def __init__(
        self,
        channels: int,
        token_width: int,
        head_width: int | None = None,
        norm: NormName = "group",
        groups: int | None = None,
    ) -> None:
        super().__init__()
        self.heads = 1 if head_width is None else channels // head_width
        self.norm = normaliser(norm, channels, groups)
        self.q = linear(channels, channels, bias=False)
        # The gain gives the two parts the scale of two separate layers.
        gain = math.sqrt((token_width + 2 * channels) / (token_width + channels))
        self.kv = linear(token_width, 2 * channels, bias=False, gain=gain)
        self.out = zero(linear(channels, channels))

    def forward(self, x: torch.Tensor, context: Context) -> torch.Tensor:
        """(B, C, *space) -> (B, C, *space)."""
        # (B, C, *space) -> (B, N, C): free where memory is channels-last
        positions = self.norm(x).flatten(2).transpose(1, 2)
        # (B, N, C) -> (B, heads, N, C / heads)
        q = self.q(positions).unflatten(2, (self.heads, -1)).transpose(1, 2)
        # (B, L, 2C) -> two of (B, heads, L, C / heads)
        k, v = self.kv(context.tokens).unflatten(2, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        # (B, heads, N, C / heads) -> (B, N, C)
        mixed = attend(q, k, v, context.mask).transpose(1, 2).flatten(2)
        out: torch.Tensor = self.out(mixed)
        return x + out.transpose(1, 2).reshape(x.shape)

"""Pooling of feature maps."""

import torch
from torch import nn

from ddpm.networks.blocks import attend, linear, zero


class AttentionPool(nn.Module):
    """Attention pooling, the mean as query, the mean and all positions as keys: (B, C, *space) -> (B, out_channels).

    As in Radford et al. 2021, sec. 2.4, and at the end of Dhariwal & Nichol's classifier (2021), but without position
    embedding: it accepts maps of any size, and the convolutions before it sense the borders. Its output is zero at
    initialisation.
    """

    def __init__(self, channels: int, out_channels: int, head_width: int | None = None) -> None:
        super().__init__()
        self.heads = 1 if head_width is None else channels // head_width
        self.query = linear(channels, channels)
        self.key_value = linear(channels, 2 * channels)
        self.out = zero(linear(channels, out_channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # (B, C, *space) -> (B, N, C)
        tokens = x.flatten(2).transpose(1, 2)
        mean = tokens.mean(1, keepdim=True)
        # (B, 1, C) -> (B, heads, 1, C / heads)
        q = self.query(mean).unflatten(2, (self.heads, -1)).transpose(1, 2)
        # (B, 1 + N, 2C) -> two of (B, heads, 1 + N, C / heads)
        both = self.key_value(torch.cat([mean, tokens], dim=1))
        k, v = both.unflatten(2, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        # (B, heads, 1, C / heads) -> (B, C)
        out: torch.Tensor = self.out(attend(q, k, v).flatten(1))
        return out

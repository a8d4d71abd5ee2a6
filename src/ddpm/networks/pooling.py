"""Pooling of feature maps."""

import torch
from torch import nn

from ddpm.networks.blocks import attend, linear, zero


class AttentionPool(nn.Module):
    """Attention pooling, the mean as query, the mean and all positions as keys: (B, C, *space) -> (B, out_channels).

    As in Radford et al. 2021, sec. 2.4, and at the end of Dhariwal & Nichol's classifier (2021). Its output is zero at
    initialisation.

    Args:
        positions: The number of positions, for an embedding of each and of the mean. None for no embedding: it then
            accepts maps of any size, and the convolutions before it sense the borders.
    """

    def __init__(
        self, channels: int, out_channels: int, head_width: int | None = None, positions: int | None = None
    ) -> None:
        super().__init__()
        self.positions = (
            None if positions is None else nn.Parameter(torch.randn(1 + positions, channels) / channels**0.5)
        )
        self.heads = 1 if head_width is None else channels // head_width
        self.query = linear(channels, channels)
        self.key_value = linear(channels, 2 * channels)
        self.out = zero(linear(channels, out_channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # (B, C, *space) -> (B, N, C)
        tokens = x.flatten(2).transpose(1, 2)
        # (B, 1 + N, C)
        tokens = torch.cat([tokens.mean(1, keepdim=True), tokens], dim=1)
        if self.positions is not None:
            tokens = tokens + self.positions
        # (B, 1, C) -> (B, heads, 1, C / heads)
        q = self.query(tokens[:, :1]).unflatten(2, (self.heads, -1)).transpose(1, 2)
        # (B, 1 + N, 2C) -> two of (B, heads, 1 + N, C / heads)
        k, v = self.key_value(tokens).unflatten(2, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        # (B, heads, 1, C / heads) -> (B, C)
        out: torch.Tensor = self.out(attend(q, k, v).flatten(1))
        return out


class MeanPool(nn.Module):
    """The mean over all positions and a linear layer: (B, C, *space) -> (B, out_channels); zero at initialisation."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.out = zero(linear(channels, out_channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.out(x.flatten(2).mean(2))
        return out

"""Building blocks of transformers on the positions of an image, for any number of spatial axes."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from ddpm.networks.blocks import attend, depth_to_space, linear, space_to_depth
from ddpm.networks.embeddings import LANES

BASE = 100.0
"""The ratio of the fastest to roughly the slowest rotation; less than the 10,000 of texts, which have more positions
(Heo et al. 2024)."""


def rms_norm(x: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
    """Divide by the root mean square over the last axis (Zhang & Sennrich 2019), in at least float32."""
    wide = torch.promote_types(x.dtype, torch.float32)
    return F.rms_norm(x.to(wide), x.shape[-1:], None if weight is None else weight.to(wide), eps=1e-6)


Turn = tuple[torch.Tensor, torch.Tensor]
"""The cosines and sines of angles, (N, D / 2) each."""


def rotations(sides: Sequence[int], head_width: int, device: torch.device, first: int = 0) -> Turn:
    """The angles of axial rotary positions (Su et al. 2021; Heo et al. 2024), after ``first`` tokens without position.

    Each axis has an equal share of the pairs of a head, which turn with frequencies from 1 down to about ``1 / BASE``
    per position; the remaining pairs do not turn. Only differences of positions matter, so any size is possible.
    """
    each = head_width // 2 // len(sides)
    frequency = BASE ** (-torch.arange(each, dtype=torch.float32, device=device) / each)
    axes = torch.meshgrid(*(torch.arange(n, dtype=torch.float32, device=device) for n in sides), indexing="ij")
    # one (*sides) per axis -> (N, axes · each)
    angles = torch.cat([axis.flatten()[:, None] * frequency for axis in axes], dim=1)
    angles = F.pad(angles, (0, head_width // 2 - angles.shape[1], first, 0))
    return angles.cos(), angles.sin()


def rotate(x: torch.Tensor, turn: Turn) -> torch.Tensor:
    """Turn the pairs (i, i + D / 2) of x, (B, heads, N, D)."""
    (cos, sin), (a, b) = turn, x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


class SelfAttention(nn.Module):
    """Self-attention of tokens, without the residual connection.

    Args:
        norm: Whether to normalise queries and keys, so that their products cannot explode (Henry et al. 2020).
        bias: Whether queries, keys and values have biases.
    """

    def __init__(self, width: int, heads: int, *, norm: bool, bias: bool = True) -> None:
        super().__init__()
        self.heads = heads
        # The gain gives the three parts the scale of three separate layers.
        self.qkv = linear(width, 3 * width, bias=bias, gain=2**0.5)
        self.out = linear(width, width)
        self.norm_q = nn.Parameter(torch.ones(width // heads)) if norm else None
        self.norm_k = nn.Parameter(torch.ones(width // heads)) if norm else None

    def forward(self, x: torch.Tensor, turn: Turn | None = None, weights: torch.Tensor | None = None) -> torch.Tensor:
        """x (B, N, width), the rotations of its positions, and the weights of its values (B, N) -> (B, N, width).

        Nothing attends to a token of weight 0.
        """
        # (B, N, 3 · width) -> three of (B, heads, N, width / heads)
        q, k, v = self.qkv(x).reshape(*x.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        if self.norm_q is not None:
            q, k = rms_norm(q, self.norm_q), rms_norm(k, self.norm_k)
        if turn is not None:
            q, k = rotate(q, turn), rotate(k, turn)
        mask = None
        if weights is not None:
            v, mask = v * weights[:, None, :, None].to(v), weights[:, None, None] != 0
        mixed = attend(q.to(v), k.to(v), v, mask)
        # (B, heads, N, width / heads) -> (B, N, width)
        out: torch.Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out


class SwiGLU(nn.Module):
    """A gated feed-forward network, ``out(silu(a) · b)`` (Shazeer 2020), with a hidden width of about 8 / 3."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        # full vectors, so that the activation of a row does not depend on its position in the batch
        hidden = -(-8 * width // (3 * LANES)) * LANES
        self.gated = linear(width, 2 * hidden, gain=2**0.5)
        self.dropout = nn.Dropout(dropout)
        self.out = linear(hidden, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, N, width) -> (B, N, width)."""
        a, b = self.gated(x).chunk(2, dim=-1)
        out: torch.Tensor = self.out(self.dropout(F.silu(a) * b))
        return out


def patches(x: torch.Tensor, patch: int) -> torch.Tensor:
    """The patches of an image as tokens: (B, C, *space) -> (B, N, C · patch**axes)."""
    # (B, C · p · p, h, w) -> (B, h · w, C · p · p)
    return space_to_depth(x, patch).flatten(2).transpose(1, 2)


def unpatched(tokens: torch.Tensor, patch: int, space: Sequence[int]) -> torch.Tensor:
    """The inverse of :func:`patches` for an image of this size: (B, N, C · patch**axes) -> (B, C, *space)."""
    # (B, h · w, C · p · p) -> (B, C · p · p, h, w)
    grid = tokens.transpose(1, 2).reshape(tokens.shape[0], -1, *(side // patch for side in space))
    return depth_to_space(grid, patch)

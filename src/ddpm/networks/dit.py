"""A modern diffusion transformer."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from ddpm.config.dit import DiTSettings
from ddpm.core import Cond
from ddpm.networks.blocks import conv, linear, zero
from ddpm.networks.embeddings import TimeEmbedding, silu
from ddpm.networks.inputs import check_condition, check_size, with_image
from ddpm.networks.transformer import SelfAttention, SwiGLU, Turn, patches, rms_norm, rotations, unpatched

FREQUENCIES = 256
"""The number of sines and cosines that embed the time (Peebles & Xie 2023)."""


def modulated(x: torch.Tensor, shift: torch.Tensor, scale: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """``norm(x) · (1 + scale) + shift``, computed in float32 and returned in the dtype of the next layer."""
    return (rms_norm(x) * (1 + scale) + shift).to(dtype)


class TransformerBlock(nn.Module):
    """Attention and a feed-forward network on residual branches, which are zero at initialisation.

    Both are shifted, scaled and gated by six vectors: the output of a layer that all blocks share, plus an offset of
    the block's own (adaLN-zero of Peebles & Xie 2023, shared as in Chen et al. 2023, sec. 2.3).
    """

    def __init__(self, settings: DiTSettings, *, skip: bool) -> None:
        super().__init__()
        width = settings.width
        self.checkpoint = settings.checkpoint
        self.skip = _joined(width) if skip else None
        self.offset = nn.Parameter(torch.zeros(6 * width))
        self.attention = SelfAttention(width, settings.heads, norm=True)
        self.mlp = SwiGLU(width, settings.dropout)

    def forward(
        self,
        x: torch.Tensor,
        shared: torch.Tensor,
        turn: Turn,
        weights: torch.Tensor | None,
        skip: torch.Tensor | None,
    ) -> torch.Tensor:
        """x (B, N, width), shared (B, 6 · width); the skip connection like x -> (B, N, width)."""
        if self.checkpoint and torch.is_grad_enabled():
            out: torch.Tensor = checkpoint(self._forward, x, shared, turn, weights, skip, use_reentrant=False)
            return out
        return self._forward(x, shared, turn, weights, skip)

    def _forward(
        self,
        x: torch.Tensor,
        shared: torch.Tensor,
        turn: Turn,
        weights: torch.Tensor | None,
        skip: torch.Tensor | None,
    ) -> torch.Tensor:
        dtype = self.attention.qkv.weight.dtype
        if self.skip is not None and skip is not None:
            x = self.skip(torch.cat([x, skip], dim=2).to(dtype)).to(x)
        # (B, 6 · width) -> six of (B, 1, width)
        shift1, scale1, gate1, shift2, scale2, gate2 = (shared + self.offset)[:, None].chunk(6, dim=2)
        x = x + gate1 * self.attention(modulated(x, shift1, scale1, dtype), turn, weights)
        out: torch.Tensor = x + gate2 * self.mlp(modulated(x, shift2, scale2, dtype))
        return out


def _joined(width: int) -> nn.Linear:
    """A layer that merges a token with its skip connection, which it ignores at initialisation."""
    layer = zero(linear(2 * width, width))
    with torch.no_grad():
        layer.weight[:, :width] = torch.eye(width)
    return layer


class DiT(nn.Module):
    """A transformer on patches (Peebles & Xie 2023) with normalised queries and keys, rotary positions and SwiGLU.

    Tokens of the condition are prepended to those of the image. The residual stream is float32 at any precision. The
    output is zero at initialisation.

    Attributes:
        outer: The modules that embed time and condition, whose weights Muon leaves to AdamW.
    """

    outer = ("time", "cond", "shared", "modulation", "class_tokens")

    def __init__(self, settings: DiTSettings) -> None:
        super().__init__()
        self.settings = s = settings
        area = s.patch**s.space
        self.time = TimeEmbedding(FREQUENCIES, s.width)
        # No bias: it would duplicate the time embedding's.
        self.cond = None if s.cond_width is None else linear(s.cond_width, s.width, bias=False)
        self.class_tokens = nn.Parameter(0.02 * torch.randn(s.class_tokens, s.width)) if s.class_tokens else None
        self.shared = zero(linear(s.width, 6 * s.width))
        self.reduce = linear(s.in_channels * area, s.bottleneck) if s.bottleneck else None
        self.embed = linear(s.bottleneck or s.in_channels * area, s.width)
        second = s.depth - s.depth // 2
        self.blocks = nn.ModuleList(TransformerBlock(s, skip=s.long_skips and i >= second) for i in range(s.depth))
        self.modulation = zero(linear(s.width, 2 * s.width))
        self.out = zero(linear(s.width, s.out_channels * area))
        self.conv = conv(s.space, s.out_channels, s.out_channels, 3, padding=1) if s.final_conv else None

    def forward(self, x: torch.Tensor, t: torch.Tensor, cond: Cond | None = None) -> torch.Tensor:
        """x (B, C, *space), t (B,), the condition's vector and tokens (…, cond_width) -> (B, out_channels, *space).

        The condition's image is concatenated to x: (B, in_channels, *space) in total.

        Raises:
            ValueError: if the patch does not divide each side of x, or a condition is missing or unexpected.
        """
        s, cond = self.settings, Cond() if cond is None else cond
        check_size(s, x)
        x = with_image(x, cond)
        vector, context, weights = self._conditions(cond, x.shape[0])
        time = self.time(t)
        embedding = silu(time if vector is None else time + vector)

        tokens = patches(x, s.patch)
        tokens = self.embed(tokens if self.reduce is None else self.reduce(tokens))
        n, first = tokens.shape[1], 0 if context is None else context.shape[1]
        turn = rotations([side // s.patch for side in x.shape[2:]], s.width // s.heads, x.device, first)
        if context is not None:
            tokens = torch.cat([context, tokens], dim=1)
            weights = None if weights is None else F.pad(weights, (0, n), value=1.0)

        stream = torch.promote_types(tokens.dtype, torch.float32)
        tokens, shared = tokens.to(stream), self.shared(embedding).to(stream)
        skips: list[torch.Tensor] = []
        for i, block in enumerate(self.blocks):
            tokens = block(tokens, shared, turn, weights, skips.pop() if block.skip is not None else None)
            if s.long_skips and i < s.depth // 2:
                skips.append(tokens)
        # (B, 2 · width) -> two of (B, 1, width)
        shift, scale = self.modulation(embedding).to(stream)[:, None].chunk(2, dim=2)
        out = self.out(modulated(tokens[:, first:], shift, scale, self.out.weight.dtype))
        image = unpatched(out, s.patch, x.shape[2:])
        return image if self.conv is None else self.conv(image)

    def _conditions(self, cond: Cond, n: int) -> tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]:
        """The vector (n, width), the prepended tokens (n, L, width), and the weights of these (n, L).

        Their scale is left to the weights, as the first layer normalises them.
        """
        vector, given, weights = cond.vector, cond.tokens, cond.weights
        if given is not None and weights is not None:
            given = given / weights.where(weights != 0, 1)[..., None].to(given)
        check_condition(self.settings, given=vector is not None or given is not None)
        vector = None if self.cond is None or vector is None else self.cond(vector)
        given = None if self.cond is None or given is None else self.cond(given)
        if self.class_tokens is None:
            return vector, given, weights
        own = self.class_tokens.expand(n, -1, -1)
        own = own if vector is None else own + vector[:, None]
        if given is None:
            return vector, own, None
        weights = None if weights is None else F.pad(weights, (own.shape[1], 0), value=1.0)
        return vector, torch.cat([own.to(given), given], dim=1), weights

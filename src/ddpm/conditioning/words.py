"""Captions as words whose embeddings are trained with the model."""

import torch
from torch import nn

from ddpm.core import Cond
from ddpm.core.stream import RowStreams
from ddpm.networks.blocks import zero
from ddpm.networks.transformer import SelfAttention, SwiGLU, rms_norm
from ddpm.text.vocabulary import NULL


class PromptBlock(nn.Module):
    """Attention and a feed-forward network on normalised residual branches, which are zero at initialisation."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.Parameter(torch.ones(width)), nn.Parameter(torch.ones(width))
        self.attention = SelfAttention(width, heads, norm=True)
        self.mlp = SwiGLU(width, dropout=0.0)
        zero(self.attention.out)
        zero(self.mlp.out)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """x (B, L, width), mask (B, L) bool -> (B, L, width)."""
        dtype = self.attention.qkv.weight.dtype
        x = x + self.attention(rms_norm(x, self.norm1).to(dtype), weights=mask)
        out: torch.Tensor = x + self.mlp(rms_norm(x, self.norm2).to(dtype))
        return out


class WordTokens(nn.Module):
    """A transformer of the tokens of prompts, as :class:`~ddpm.text.words.WordEncoder` numbers and weighs them.

    Each token w leaves with its weight as a factor, and the vector is their weighted mean, ``Σ w · token / Σ |w|``. A
    prompt without words is the null token alone, row 0 of the embedding.

    The inputs of all layers and the output are normalised, which keeps it stable at the rates of Muon, at which AdamW
    trains it.

    Args:
        size: the number of different tokens.
        length: L, the maximum number of tokens of a prompt.
        width: D of the tokens and of the vector.
        layers: the layers of the transformer.
        heads: its heads, which divide the width.
    """

    def __init__(self, size: int, length: int, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.length = length
        self.embedding = nn.Embedding(size, width)
        # small next to the words, whose root mean square is 1
        self.positions = nn.Parameter(0.1 * torch.randn(length, width))
        self.blocks = nn.ModuleList(PromptBlock(width, heads) for _ in range(layers))
        self.norm = nn.Parameter(torch.ones(width))

    def encode(self, raw: torch.Tensor) -> Cond:
        """Tokens and their weights (B, L, 2) -> a vector (B, D), tokens (B, L, D) and their weights (B, L)."""
        weights = raw[..., 1].float()
        ids = raw[..., 0].long().masked_fill(weights == 0, NULL)
        first = torch.arange(raw.shape[1], device=raw.device) == 0
        weights = weights.masked_fill(first & (weights == 0).all(1, keepdim=True), 1.0)
        mask = weights != 0
        x = self.embedding(ids) + self.positions[: raw.shape[1]]
        for block in self.blocks:
            x = block(x, mask)
        tokens = rms_norm(x, self.norm) * weights[..., None]
        vector = tokens.sum(1) / weights.abs().sum(1, keepdim=True)
        dtype = self.embedding.weight.dtype
        return Cond(vector.to(dtype), tokens=tokens.to(dtype), weights=weights, raw={"caption": raw})

    forward = encode

    def null(self, n: int) -> Cond:
        """The condition of n empty prompts."""
        return self.encode(torch.zeros(n, self.length, 2, device=self.norm.device))

    def drop(self, raw: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Prompts (B, L, 2), empty where the mask, (B,) bool, is set."""
        return raw.masked_fill(mask[:, None, None], 0)

    def augment(self, raw: torch.Tensor, streams: RowStreams) -> torch.Tensor:
        """Prompts, unchanged."""
        return raw

"""Features of captions from a frozen text encoder."""

import torch
from torch import nn

from ddpm.core import Cond
from ddpm.core.stream import RowStreams
from ddpm.networks.blocks import linear
from ddpm.networks.transformer import rms_norm


class TextFeatures(nn.Module):
    """Tokens for attention, projected from features of any scale, and the vector of their mean.

    Raw captions are (B, L, E + 1) float32: the features of each token, and its weight in the last channel, which is 0
    for padding. A caption without tokens is null.

    Args:
        features: E.
        width: D.
        length: L.
    """

    def __init__(self, features: int, width: int, length: int) -> None:
        super().__init__()
        self.features, self.length = features, length
        self.project = linear(features, width)
        self.null_token = nn.Parameter(torch.randn(width))

    def encode(self, raw: torch.Tensor) -> Cond:
        """Raw captions -> tokens (B, L, D) and their weights; the vector is ``sum(w · token) / sum(|w|)``.

        Each token is multiplied by its weight after encoding, so that (word:1.3) gives more of the same.
        """
        w, dtype = raw[..., -1].float(), self.null_token.dtype
        first = torch.arange(raw.shape[1], device=raw.device) == 0
        null = first & (w == 0).all(1, keepdim=True)
        w = w.masked_fill(null, 1)
        # normalised, as the features of different encoders differ a hundredfold in scale
        tokens = self.project(rms_norm(raw[..., :-1]).to(dtype))
        tokens = torch.where(null[..., None], self.null_token.to(tokens.dtype), tokens) * w[..., None]
        vector = tokens.sum(1) / w.abs().sum(1, keepdim=True)
        return Cond(vector.to(dtype), tokens=tokens.to(dtype), weights=w, raw={"caption": raw})

    forward = encode

    def null(self, n: int) -> Cond:
        """The condition of n null captions."""
        return self.encode(torch.zeros(n, self.length, self.features + 1, device=self.null_token.device))

    def drop(self, raw: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Captions, null where the mask, (B,) bool, is set."""
        return raw.masked_fill(mask[:, None, None], 0)

    def augment(self, raw: torch.Tensor, streams: RowStreams) -> torch.Tensor:
        """Captions, unchanged."""
        return raw

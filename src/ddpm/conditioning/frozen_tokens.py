"""Tokens of a frozen text encoder as conditions, as they are."""

import torch
from torch import nn

from ddpm.core import Cond
from ddpm.core.stream import RowStreams


class FrozenTokens(nn.Module):
    """The features of all tokens, padding included, for cross-attention without a mask (Rombach et al. 2022).

    Raw captions are (B, L, E + 1) float32: the features of each token, and its weight in the last channel, which
    multiplies them. A caption whose weights are all 0 is null.

    Attributes:
        null_tokens: (L, E), the features of the empty caption.
    """

    null_tokens: torch.Tensor

    def __init__(self, width: int, length: int) -> None:
        super().__init__()
        self.register_buffer("null_tokens", torch.zeros(length, width))

    def encode(self, raw: torch.Tensor) -> Cond:
        """Raw captions -> tokens (B, L, E)."""
        w = raw[..., -1:]
        null = (w == 0).all(1, keepdim=True)
        tokens = torch.where(null, self.null_tokens.to(raw.dtype), raw[..., :-1] * w)
        return Cond(tokens=tokens.to(self.null_tokens.dtype), raw={"caption": raw})

    forward = encode

    def null(self, n: int) -> Cond:
        """The condition of n null captions."""
        length, width = self.null_tokens.shape
        return self.encode(torch.zeros(n, length, width + 1, device=self.null_tokens.device))

    def drop(self, raw: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Captions, null where the mask, (B,) bool, is set."""
        return raw.masked_fill(mask[:, None, None], 0)

    def augment(self, raw: torch.Tensor, streams: RowStreams) -> torch.Tensor:
        """Captions, unchanged."""
        return raw

"""The pixel codec, the only place that defines the range of values."""

from dataclasses import dataclass

import torch

from ddpm.core.stream import RowStreams


@dataclass(frozen=True, slots=True)
class PixelCodec:
    """A codec of 8-bit images as floats in [-1, 1]; ``decode(encode(x)) == x`` for each of the 256 values."""

    def encode(self, images: torch.Tensor, hidden: torch.Tensor | None = None) -> torch.Tensor:
        """``x / 127.5 - 1``: (B, *space, C) uint8 to (B, C, *space) float32 in [-1, 1]; 0 for hidden pixels."""
        if images.dtype != torch.uint8:
            raise ValueError(f"images must be uint8, not {images.dtype}")
        x = images.movedim(-1, 1).contiguous().float() / 127.5 - 1
        return x if hidden is None else x.masked_fill(hidden[:, None], 0)

    def decode(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, *space) floats to (B, *space, C) uint8, rounded to the nearest; values outside [-1, 1] are clamped."""
        scaled = (x.float() + 1) * 127.5
        return scaled.round().clamp(0, 255).to(torch.uint8).movedim(1, -1).contiguous()

    @property
    def moments(self) -> None:
        return None

    def sample(self, stored: torch.Tensor, streams: RowStreams) -> torch.Tensor:
        """:meth:`encode`, which draws nothing."""
        return self.encode(stored)

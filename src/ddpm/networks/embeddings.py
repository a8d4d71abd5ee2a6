"""Time embeddings."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from ddpm.networks.blocks import linear

TICKS = 1000
"""The end of the scale of times, which starts at 0."""


def sinusoid(t: torch.Tensor, width: int, shift: int = 1) -> torch.Tensor:
    """Sines, then cosines, of t at ``width / 2`` frequencies from 1 down to 1 / 10000 (Ho et al. 2020, app. B).

    Args:
        t: (B,), on the scale of 0 … 1000; converted to at least float32.
        width: The number of features, even and at least 4.
        shift: 1, or 0 for frequencies that end before 1 / 10000 (``freq_shift`` in diffusers).

    Returns:
        (B, width), float32 or t's wider dtype.
    """
    t = t.to(torch.promote_types(t.dtype, torch.float32))
    half = width // 2
    frequency = torch.exp(torch.arange(half, dtype=t.dtype, device=t.device) * (-math.log(10_000) / (half - shift)))
    angle = t[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1)


LANES = 64
"""The number of 16-bit elements in the CPU's widest vector loop; of 32-bit elements, 32."""


def silu(x: torch.Tensor) -> torch.Tensor:
    """SiLU of (B, D), with results for a row that do not depend on its position in the batch.

    PyTorch computes the remainder after the last full vector in a scalar loop, which rounds differently.
    """
    width = x.shape[1]
    return F.silu(F.pad(x, (0, -width % LANES)))[:, :width] if width % LANES else F.silu(x)


class TimeEmbedding(nn.Module):
    """A sinusoidal embedding followed by a two-layer perceptron: (B,) -> (B, out_width)."""

    def __init__(self, width: int, out_width: int, shift: int = 1) -> None:
        super().__init__()
        self.width, self.shift = width, shift
        self.linear1 = linear(width, out_width)
        self.linear2 = linear(out_width, out_width)

    def forward(self, t: torch.Tensor) -> torch.Tensor:
        """t (B,) -> (B, out_width) of the weights' dtype."""
        out: torch.Tensor = self.linear2(
            silu(self.linear1(sinusoid(t, self.width, self.shift).to(self.linear1.weight)))
        )
        return out

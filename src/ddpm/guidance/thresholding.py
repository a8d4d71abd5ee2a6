"""Keep the expected image within the range of images without flattening values beyond it."""

import math
from dataclasses import dataclass

import torch

from ddpm.core import Cond, Denoised, Denoiser, Level
from ddpm.core.level import per_image


@dataclass(frozen=True, slots=True)
class Thresholded:
    """Dynamic thresholding (Saharia et al. 2022, sec. 2.3), in place of clipping to [-1, 1].

    With s the quantile of an image's ``|x0|``, at least 1: clip to [-s, s] and divide by s. High guidance pushes many
    elements beyond 1, and clipping would make them all alike. Where few are, s = 1, and this is clipping. It darkens
    what is not saturated, and has no meaning where values are not bounded by 1, as in latents.

    Attributes:
        quantile: share of the elements that stay unclipped, in (0, 1]; the paper takes 0.995.
    """

    denoise: Denoiser
    quantile: float = 0.995

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        out = self.denoise(x, level, cond)
        s = per_image(quantile(out.x0.abs().flatten(1), self.quantile).clamp(min=1), x)
        return out._replace(x0=out.x0.clamp(-s, s) / s)


def quantile(values: torch.Tensor, q: float) -> torch.Tensor:
    """The q-quantile of each row of (B, D), linear between neighbours, of rows of any length.

    ``torch.quantile`` takes at most 16 million values over all rows.
    """
    rank = q * (values.shape[1] - 1)
    below = math.floor(rank)
    largest = values.topk(values.shape[1] - below).values  # in descending order, down to the one of that rank
    return torch.lerp(largest[:, -1], largest[:, -2] if rank > below else largest[:, -1], rank - below)

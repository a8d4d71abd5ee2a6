"""Guidance without the part that only makes images gaudier."""

from dataclasses import dataclass
from math import inf

import torch
from torch.nn.functional import normalize


@dataclass(frozen=True, slots=True)
class Projected:
    """Adaptive projected guidance (Sadat et al. 2024), without its momentum.

    The difference ``d = x0 - weak``, shortened to a norm of ``longest`` where it is longer, is split into a part along
    x0 and one across: ``x0 + (scale - 1) · (across + eta · along)``. Guidance along x0 stretches the image as it is,
    which is what saturates colours at high scales; across, it moves towards the condition. The paper's momentum would
    be a memory from step to step, and a denoiser has none.

    Attributes:
        eta: how much of the part along x0 is kept; 1, with no bound on the norm, is classifier-free guidance.
        longest: r, bound of the Euclidean norm of d over all elements of an image; so it grows with their number.
    """

    eta: float = 0.0
    longest: float = inf

    def __call__(self, x0: torch.Tensor, weak: torch.Tensor, scale: float) -> torch.Tensor:
        # (B, C, *space) -> (B, D), as each image is one vector
        difference, direction = (x0 - weak).flatten(1), normalize(x0.flatten(1))
        norm = difference.norm(dim=1, keepdim=True)
        difference = difference * (self.longest / norm).clamp(max=1)  # r / 0 is infinite, and so 1
        along = (difference * direction).sum(1, keepdim=True) * direction
        kept: torch.Tensor = difference - (1 - self.eta) * along
        return x0 + (scale - 1) * kept.reshape(x0.shape)

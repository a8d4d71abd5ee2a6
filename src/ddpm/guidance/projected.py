"""Guidance without the part that only oversaturates images."""

from dataclasses import dataclass
from math import inf

import torch
from torch.nn.functional import normalize

from ddpm.core import Scalar
from ddpm.guidance.rule import as_factor


@dataclass(frozen=True, slots=True)
class Projected:
    """Adaptive projected guidance (Sadat et al. 2024), without its momentum.

    The difference ``d = x0 - weak``, shortened to a norm of ``longest`` where it is longer, is split into a part along
    x0 and one across: ``x0 + (scale - 1) · (across + eta · along)``. Guidance along x0 scales the image itself, which
    saturates colours at high scales; across, it moves towards the condition. The paper's momentum needs a memory
    between steps, which a denoiser does not have.

    Attributes:
        eta: the fraction of the part along x0 to keep; 1, with no bound on the norm, is classifier-free guidance.
        longest: r, the bound on the Euclidean norm of d over all elements of an image; it scales with their number.
    """

    eta: float = 0.0
    longest: float = inf

    def __call__(self, x0: torch.Tensor, weak: torch.Tensor, scale: Scalar) -> torch.Tensor:
        # (B, C, *space) -> (B, D), as each image is one vector
        difference, direction = (x0 - weak).flatten(1), normalize(x0.flatten(1))
        norm = difference.norm(dim=1, keepdim=True)
        difference = difference * (self.longest / norm).clamp(max=1)  # r / 0 is infinite, and so 1
        along = (difference * direction).sum(1, keepdim=True) * direction
        kept: torch.Tensor = difference - (1 - self.eta) * along
        return x0 + as_factor(scale - 1, x0) * kept.reshape(x0.shape)

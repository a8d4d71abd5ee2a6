"""Guidance by a classifier of noised images."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from ddpm.core import Cond, Denoised, Denoiser, Level, scale

Logits = Callable[[torch.Tensor, Level], torch.Tensor]
"""(x, level) -> log p(y | x_t) of every class y up to a constant, (B, K)."""

Direction = Callable[[torch.Tensor, Level], torch.Tensor]
"""(x, level) -> the direction to move x in, (B, C, *space) like x."""


@dataclass(frozen=True, slots=True)
class ClassGradient:
    """``strength · ∇_x log p(y | x_t)``, for each image of a batch its own class; the weights collect no gradient.

    Attributes:
        classify: the classifier, which answers image by image.
        labels: y of each image of the batch, (B,) int64.
        strength: s of Dhariwal & Nichol 2021: 1 for Bayes' rule, more exaggerates it.

    Raises:
        ValueError: the number of images differs from that of labels.
    """

    classify: Logits
    labels: torch.Tensor
    strength: float

    def __call__(self, x: torch.Tensor, level: Level) -> torch.Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            # as rows are independent, the gradient of the sum is that of each
            log_p = -F.cross_entropy(self.classify(x, level), self.labels, reduction="sum")
            (gradient,) = torch.autograd.grad(log_p, x)
        return self.strength * gradient


@dataclass(frozen=True, slots=True)
class ClassifierGuided:
    """Classifier guidance of the score: ``eps' = eps - sigma · g`` (Dhariwal & Nichol 2021, alg. 2).

    In the expected image ``x0' = x0 + (sigma² / alpha) · g``, with g the gradient of ``s · log p(y | x_t)``. By Bayes'
    rule, s = 1 and a perfect classifier turn the unconditional denoiser into the conditional one. Where alpha is 0
    there is no such x0', and pure noise says nothing about a class: there the denoiser is unchanged.

    Attributes:
        denoise: the denoiser, whose mix of variances is kept.
        towards: g.
    """

    denoise: Denoiser
    towards: Direction

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        out = self.denoise(x, level, cond)
        silent = torch.as_tensor(level.alpha == 0)  # (), or (B,) of levels that are each image's own
        if silent.all() or level.clean:
            return out
        weight = level.sigma**2 / level.alpha
        if isinstance(weight, torch.Tensor):
            weight = weight.masked_fill(silent, 0.0)
        return out._replace(x0=out.x0 + scale(weight, self.towards(x, level)))

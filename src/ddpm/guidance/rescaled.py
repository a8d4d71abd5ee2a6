"""Guidance that preserves contrast."""

from dataclasses import dataclass

import torch

from ddpm.core import Scalar
from ddpm.core.level import per_image
from ddpm.guidance.rule import Rule, extrapolate


@dataclass(frozen=True, slots=True)
class Rescaled:
    """Bring the guided image back to the standard deviation of the unguided one (Lin et al. 2023, eq. 15 and 16).

    ``x0' = rule(x0, weak, scale)``, and the result ``phi · x0' · std(x0) / std(x0') + (1 - phi) · x0'``, where std is
    over all elements of an image. A rule for x0: the paper, and diffusers after it, apply the same to the network's
    output, which there is v or eps, and do not thereby bring x0 to any standard deviation.

    Attributes:
        phi: share of the rescaled image, 0 for none; the paper takes 0.7.
        rule: the guidance.
    """

    phi: float
    rule: Rule = extrapolate

    def __call__(self, x0: torch.Tensor, weak: torch.Tensor, scale: Scalar) -> torch.Tensor:
        guided = self.rule(x0, weak, scale)
        had, has = _std(x0), _std(guided)
        factor = torch.where(has > 0, had / has, 1)  # an image of one colour has no contrast to restore
        return guided * (self.phi * factor + (1 - self.phi))


def _std(x: torch.Tensor) -> torch.Tensor:
    """(B, C, *space) -> (B, 1, ..., 1)."""
    return per_image(x.flatten(1).std(1, correction=0), x)

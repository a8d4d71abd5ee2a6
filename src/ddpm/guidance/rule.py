"""Rules that combine two expected images into a guided one."""

from typing import Protocol

import torch

from ddpm.core import Scalar
from ddpm.core.level import per_image


class Rule(Protocol):
    """``rule(x0, weak, scale)``: the guided image, (B, C, *space) like the two; each image depends on its own alone.

    ``x0`` is the answer to guide towards, ``weak`` the one to guide away from, and at scale 1 ``x0`` is left as it is.
    The scale is one number, or one for each image, (B,).
    """

    def __call__(self, x0: torch.Tensor, weak: torch.Tensor, scale: Scalar) -> torch.Tensor: ...


def extrapolate(x0: torch.Tensor, weak: torch.Tensor, scale: Scalar) -> torch.Tensor:
    """``weak + scale · (x0 - weak)``, on the line through both (Ho & Salimans 2022, eq. 6, in x0)."""
    return weak.lerp(x0, as_factor(scale, x0))


def as_factor(scale: Scalar, x: torch.Tensor) -> Scalar:
    """A scale to multiply images (B, C, *space) by."""
    return per_image(scale.to(x), x) if isinstance(scale, torch.Tensor) else scale

"""Rules that combine two expected images into a guided one."""

from typing import Protocol

import torch


class Rule(Protocol):
    """``rule(x0, weak, scale)``: the guided image, (B, C, *space) like the two; each image depends on its own alone.

    ``x0`` is the answer to guide towards, ``weak`` the one to guide away from, and at scale 1 ``x0`` is left as it is.
    """

    def __call__(self, x0: torch.Tensor, weak: torch.Tensor, scale: float) -> torch.Tensor: ...


def extrapolate(x0: torch.Tensor, weak: torch.Tensor, scale: float) -> torch.Tensor:
    """``weak + scale · (x0 - weak)``, on the line through both (Ho & Salimans 2022, eq. 6, in x0)."""
    return weak.lerp(x0, scale)

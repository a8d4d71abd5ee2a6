"""What networks are given: x and its condition."""

import torch

from ddpm.config.network import NetworkSettings
from ddpm.core import Cond
from ddpm.system.ranges import nearest_multiple


def check_size(s: NetworkSettings, x: torch.Tensor) -> None:
    """Check that a network of these settings can divide an input (B, C, *space).

    Raises:
        ValueError: if ``s.divisor`` does not divide each side, or the number of spatial axes is not ``s.space``.
    """
    sides = x.shape[2:]
    if len(sides) != s.space:
        raise ValueError(f"x has shape {tuple(x.shape)}; it must be (B, C) and {s.space} spatial axes")
    if any(n % s.divisor for n in sides):
        size = "×".join(str(n) for n in sides)
        nearest = "×".join(str(nearest_multiple(n, s.divisor)) for n in sides)
        raise ValueError(f"size {size} is not divisible by {s.divisor}; use the nearest that is, {nearest}")


def check_condition(s: NetworkSettings, *, given: bool) -> None:
    """Check that a condition is given exactly if a network of these settings takes one.

    Raises:
        ValueError: if it is missing or unexpected.
    """
    if given and s.cond_width is None:
        raise ValueError("this network takes no condition; leave it out, or build the network with cond_width")
    if not given and s.cond_width is not None:
        raise ValueError("this network requires a condition; use the null condition for none in particular")


def refuse_tokens(cond: Cond) -> None:
    """Refuse tokens, for a network that cannot be built with a ``token_width``.

    Raises:
        ValueError: if there are tokens.
    """
    if cond.tokens is not None:
        raise ValueError("this network takes no tokens; leave them out, or use a DiT or a U-Net")


def with_image(x: torch.Tensor, cond: Cond) -> torch.Tensor:
    """x (B, C, *space), followed by the channels of the condition's image if there is one."""
    return x if cond.image is None else torch.cat([x, cond.image], dim=1)

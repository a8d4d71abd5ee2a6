"""Interpolation between the noises of two images."""

import torch

from ddpm.core import Scalar, scale

STRAIGHT = 1e-9
"""The sine of the angle below which an arc counts as straight, or as having no unique shortest path."""


def slerp(a: torch.Tensor, b: torch.Tensor, share: Scalar) -> torch.Tensor:
    """Interpolate along the great circle from a to b (Shoemake 1985), for each image independently.

        ``sin((1 - share) θ) / sin θ · a + sin(share · θ) / sin θ · b``,  θ the angle between a and b

    Gaussian noises of many elements are nearly orthogonal and have nearly equal norms, which this keeps, so that points
    between are as likely as the ends (Song et al. 2021, sec. 5.3); on a straight line they would be shorter. Parallel
    and opposite images are joined by a line. The ends are exact.

    Args:
        a, b: (B, C, *space).
        share: 0 is a, 1 is b; one for all, or (B,).
    """
    # (B, C, *space) -> (B, D), of length 1
    one, other = (v / v.norm(dim=1, keepdim=True) for v in (a.flatten(1).cpu().double(), b.flatten(1).cpu().double()))
    # exact for small angles too, where the cosine is not (Kahan)
    angle = 2 * torch.atan2((one - other).norm(dim=1), (one + other).norm(dim=1))
    t = torch.as_tensor(share, dtype=torch.float64).cpu().expand_as(angle)
    bent = angle.sin() > STRAIGHT
    from_a, from_b = (torch.where(bent, (part * angle).sin() / angle.sin(), part) for part in (1 - t, t))
    return scale(from_a, a) + scale(from_b, b)

"""Features that no network computes: the colours of large areas."""

from hashlib import sha256

import torch
import torch.nn.functional as F

from ddpm.metrics.features.rgb import as_rgb

SIDE = 16


class Averages:
    """A picture's averages over the areas of a 16 × 16 grid, in [-1, 1].

    A Fréchet distance in them sees shifts of colour, lost contrast and coarse structure, but no details.
    """

    name = f"{SIDE}x{SIDE}-pixel"
    resize = f"averages over the areas of a {SIDE} × {SIDE} grid"
    dim = 3 * SIDE * SIDE
    hash = sha256(f"averages 1 {SIDE}".encode()).hexdigest()[:16]

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """(B, H, W, C) uint8 -> (B, 768) float32; areas of images with smaller sides overlap."""
        return F.adaptive_avg_pool2d(as_rgb(images), SIDE).flatten(1) / 127.5 - 1

"""Thumbnails, which distinguish a copy from a similar image."""

from hashlib import sha256

import torch
import torch.nn.functional as F

from ddpm.metrics.features.rgb import as_rgb

SIDE = 8
FAINT = 0.1
"""Added to a thumbnail's norm, so that rounding does not dominate almost uniform pictures."""


class Thumbnail:
    """An 8 × 8 average of a picture, with its mean brightness removed and norm 1.

    Blur, JPEG, noise and changes of contrast hardly affect it, while networks trained for classification react to a
    slight blur more than to another picture. For detecting copies, not for distances between sets.
    """

    name = "thumbnail"
    resize = f"averages of {SIDE} × {SIDE} areas"
    dim = 3 * SIDE * SIDE
    hash = sha256(f"thumbnail 1 {SIDE} {FAINT}".encode()).hexdigest()[:16]

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """(B, H, W, C) uint8 -> (B, 192) float32."""
        x = F.adaptive_avg_pool2d(as_rgb(images), SIDE).flatten(1).double() / 127.5
        x = x - x.mean(1, keepdim=True)
        length: torch.Tensor = torch.linalg.vector_norm(x, dim=1, keepdim=True)
        return (x / (length + FAINT)).float()


def mirrored(thumbnails: torch.Tensor) -> torch.Tensor:
    """Return the thumbnails of the mirrored pictures."""
    return thumbnails.reshape(-1, 3, SIDE, SIDE).flip(-1).flatten(1)  # (B, 192) as an image, and back

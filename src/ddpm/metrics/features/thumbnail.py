"""What tells a copy from a likeness: the picture itself, very small."""

from hashlib import sha256

import torch
import torch.nn.functional as F

from ddpm.metrics.features.rgb import as_rgb

SIDE = 8
FAINT = 0.1
"""Added to a thumbnail's length, so that rounding does not decide where a picture is almost even."""


class Thumbnail:
    """8 × 8 averages of a picture, without its mean brightness and at length 1.

    Blur, JPEG, noise and a change of contrast hardly move it, while networks that were trained to tell kinds of
    images apart see a slight blur before they see another picture. For finding copies, not for distances of sets.
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
    """The thumbnails of the same pictures, left and right exchanged."""
    return thumbnails.reshape(-1, 3, SIDE, SIDE).flip(-1).flatten(1)  # (B, 192) as an image, and back

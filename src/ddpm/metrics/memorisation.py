"""Detect samples that copy training images, by thumbnails, which distinguish a copy from a similar image."""

from hashlib import sha256

import torch
import torch.nn.functional as F

from ddpm.metrics.features.rgb import as_rgb

SIDE = 8
FAINT = 0.1
"""Added to a thumbnail's norm, so that rounding does not dominate almost uniform pictures."""
NEIGHBOUR = 5
"""The neighbour whose distance is the scale at a training image: the four nearest may be near-duplicates."""
SAME = 1e-3
"""The largest distance between thumbnails of duplicate training images."""
THRESHOLD = 0.2
"""The relative distance below which an image is a copy."""
TILE = 2048
"""The side of the distance matrix blocks in memory at a time."""


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


class TooFew(ValueError):
    """There are too few training images to detect copies."""


def nearest(images: torch.Tensor, training: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Find the training image nearest to each image or its mirror image, by the ratio of two distances.

    A distance alone says little, as some images naturally have close neighbours (an empty sky) and others none; it is
    divided by the scale at the training image (in the spirit of Carlini et al. 2023, eq. 3, and Yoon et al. 2023).

    Args:
        images: (n, D) thumbnails.
        training: (N, D) thumbnails.

    Returns:
        The nearest training image of each, (n,) int64, and its distance in units of that training image's distance to
        its fifth neighbour among the others, (n,) float64.

    Raises:
        TooFew: a training image has fewer than 5 others that differ from it.
    """
    if not len(training):
        raise TooFew("there are no training images")
    (plain, straight), (turned, back) = (_closest(x, training) for x in (images, mirrored(images)))
    which, distance = torch.where(turned < plain, back, straight), torch.minimum(plain, turned)
    met, place = torch.unique(which, return_inverse=True)
    distances, _ = _smallest(training[met], training, NEIGHBOUR, SAME)
    scale = distances[:, -1]
    if scale.isinf().any():
        raise TooFew(f"detecting copies requires more than {NEIGHBOUR} distinct training images")
    return which, distance / scale[place]


def _closest(rows: torch.Tensor, others: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the smallest distance of each row, (n,) float64, and its index; 0 where two are equal bit for bit."""
    _, indices = _smallest(rows, others, 1)
    where = indices[:, 0]
    parts = zip(torch.split(rows, TILE), torch.split(where, TILE), strict=True)
    apart = [(part.double() - others[at].double()).square().sum(1).sqrt() for part, at in parts]
    return torch.cat(apart), where


def _smallest(
    rows: torch.Tensor, others: torch.Tensor, k: int, above: float | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the k smallest distances of each row that exceed ``above``, (n, k) float64, and their indices.

    Infinite where there are fewer than k.
    """
    values, indices = [], []
    for part in torch.split(rows.double(), TILE):
        best = torch.full((len(part), k), torch.inf, dtype=torch.float64)
        where = torch.zeros(len(part), k, dtype=torch.int64)
        for start in range(0, len(others), TILE):
            tile = others[start : start + TILE].double()
            # |a|² + |b|² - 2ab: accurate to about 1e-8 in distance for vectors of length about 1
            squares = torch.addmm(part.square().sum(1, keepdim=True) + tile.square().sum(1), part, tile.mT, alpha=-2)
            if above is not None:
                squares[squares <= above**2] = torch.inf
            here, at = squares.topk(min(k, len(tile)), largest=False)
            best, order = torch.cat([best, here], 1).topk(k, largest=False)
            where = torch.cat([where, at + start], 1).gather(1, order)
        values.append(best.clamp(min=0).sqrt())
        indices.append(where)
    return torch.cat(values), torch.cat(indices)

"""Whether samples are copies of training images."""

from typing import NamedTuple

import torch

from ddpm.evaluation.features.thumbnail import mirrored

NEIGHBOUR = 5
"""The scale at a training image is its distance to this one of its neighbours: the four nearest may be copies of it."""
THRESHOLD = 0.2
TILE = 2048
"""Rows and columns of a matrix of distances that are there at a time."""


class Nearest(NamedTuple):
    """The training image nearest to each of n images.

    Attributes:
        which: (n,) int64, the training image.
        distance: (n,) float64, in units of that image's distance to its fifth neighbour among the training images.
    """

    which: torch.Tensor
    distance: torch.Tensor

    @property
    def copied(self) -> torch.Tensor:
        """(n,) bool: nearer than a fifth of what is usual among training images there."""
        return self.distance < THRESHOLD


def nearest(images: torch.Tensor, training: torch.Tensor) -> Nearest:
    """The nearest training image of each image or its mirror image, by the ratio of two distances.

    A distance alone tells little, as some images have close neighbours by nature (an empty sky) and others none; so it
    is divided by the scale at the training image (in the spirit of Carlini et al. 2023, eq. 3, and Yoon et al. 2023).

    Args:
        images: (n, D) thumbnails.
        training: (N, D) thumbnails, N above 5.

    Raises:
        ValueError: there are not more training images than neighbours.
    """
    if len(training) <= NEIGHBOUR:
        raise ValueError(f"copies can only be told from likenesses among more than {NEIGHBOUR} training images")
    plain, turned = (_smallest(x, training, 1) for x in (images, mirrored(images)))
    other = turned.values[:, 0] < plain.values[:, 0]
    distance = torch.where(other, turned.values[:, 0], plain.values[:, 0])
    which = torch.where(other, turned.indices[:, 0], plain.indices[:, 0])
    met, place = torch.unique(which, return_inverse=True)
    # the nearest to itself is the training image, or one that equals it
    scale = _smallest(training[met], training, NEIGHBOUR + 1).values[:, -1]
    return Nearest(which, distance / scale[place].clamp(min=torch.finfo(torch.float32).tiny))


class _Smallest(NamedTuple):
    values: torch.Tensor
    indices: torch.Tensor


def _smallest(rows: torch.Tensor, others: torch.Tensor, k: int) -> _Smallest:
    """The k smallest distances of each row, (n, k) float64, and where they are."""
    values, indices = [], []
    for part in torch.split(rows.double(), TILE):
        best = torch.full((len(part), k), torch.inf, dtype=torch.float64)
        where = torch.zeros(len(part), k, dtype=torch.int64)
        for start in range(0, len(others), TILE):
            tile = others[start : start + TILE].double()
            # |a|² + |b|² - 2ab: of vectors of length about 1, to a distance of about 1e-8
            squares = torch.addmm(part.square().sum(1, keepdim=True) + tile.square().sum(1), part, tile.mT, alpha=-2)
            here, at = squares.topk(min(k, len(tile)), largest=False)
            best, order = torch.cat([best, here], 1).topk(k, largest=False)
            where = torch.cat([where, at + start], 1).gather(1, order)
        values.append(best.clamp(min=0).sqrt())
        indices.append(where)
    return _Smallest(torch.cat(values), torch.cat(indices))

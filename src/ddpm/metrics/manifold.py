"""Precision, recall, density and coverage, from balls around each image that reach to its k-th neighbour."""

from collections.abc import Sequence

import torch

from ddpm.metrics.estimate import Estimate, interval

TILE = 2048
"""The side of the distance matrix blocks in memory at a time."""
ROUNDING = 1e-12
"""The fraction of their squared norms subtracted from two points' computed distance, so that exact copies are at 0."""


def radii(features: torch.Tensor, centre: torch.Tensor, neighbours: Sequence[int]) -> torch.Tensor:
    """Compute the squared distance from each of (N, D) features to its k-th neighbour, (len(neighbours), N) float64.

    Raises:
        ValueError: there are not more samples than neighbours.
    """
    most = max(neighbours)
    if len(features) <= most:
        raise ValueError(f"{most} neighbours require more than {most} samples, not {len(features)}")
    found = []
    for i, rows in enumerate(torch.split(features, TILE)):
        a = rows.double() - centre
        nearest = torch.full((len(a), most), torch.inf, dtype=torch.float64)
        for j, columns in enumerate(torch.split(features, TILE)):
            squares = _squares(a, columns.double() - centre)
            if i == j:
                squares.fill_diagonal_(torch.inf)
            nearest = torch.cat([nearest, squares], 1).topk(most, largest=False).values
        found.append(nearest[:, [k - 1 for k in neighbours]].clamp(min=0))
    return torch.cat(found).mT


def estimate(
    generated: torch.Tensor, real: torch.Tensor, counts: torch.Tensor, neighbours: tuple[int, int] = (3, 5)
) -> tuple[Estimate, Estimate, Estimate, Estimate]:
    """Estimate precision, recall, density and coverage of (n, D) generated features by (N, D) real ones.

    - precision: fraction of generated images in any real ball, recall: fraction of real images in any generated ball
      (Kynkäänniemi et al. 2019, eq. 1 and 2);
    - density: mean number of real balls that contain a generated image, divided by k; coverage: fraction of real balls
      that contain any (Naeem et al. 2020).

    A point on the border is inside, as in Kynkäänniemi's eq. 1. Resamples keep the balls. An image contributes the real
    images that only it recalls or covers, and a resample counts them as often as it draws the image: the spread of a
    jackknife (Efron & Stein 1981). A resample's own recall or coverage would vary half as much as that of fresh sets,
    since a repeated image adds nothing.

    Args:
        counts: (B, n), from `resamples`.
        neighbours: k for precision and recall, and k for density and coverage.

    Returns:
        The four, of which all but density lie in [0, 1]; density is 1 on average for identical distributions.

    Raises:
        ValueError: there are not more images of a kind than neighbours.
    """
    n, N = len(generated), len(real)
    # distances are between points less the real mean, for less cancellation
    centre = torch.stack([part.double().sum(0) for part in torch.split(real, TILE)]).sum(0) / N
    reach = radii(real, centre, neighbours)
    [own] = radii(generated, centre, neighbours[:1])
    precise, balls = torch.zeros(2, n, dtype=torch.float64)
    alone = torch.zeros(2, n, dtype=torch.float64)  # real images that no other generated image recalls, or covers
    held = torch.zeros(2, dtype=torch.float64)
    for start in range(0, N, TILE):
        tile = slice(start, start + TILE)
        a, (small, large) = real[tile].double() - centre, reach[:, tile, None]
        times, holders = torch.zeros(2, 2, len(a), dtype=torch.float64)
        for first in range(0, n, TILE):
            some = slice(first, first + TILE)
            squares = _squares(a, generated[some].double() - centre, 1 - ROUNDING)
            precise[some] += (squares <= small).any(0)
            inside = (squares <= large).double()
            balls[some] += inside.sum(0)
            numbers = torch.arange(n, dtype=torch.float64)[some]
            for i, holds in enumerate(((squares <= own[some]).double(), inside)):
                times[i] += holds.sum(1)
                holders[i] += holds @ numbers
        held += (times > 0).sum(1)
        alone += torch.stack([holders[i, times[i] == 1].long().bincount(minlength=n) for i in (0, 1)])
    weights, more = counts.double() / n, counts.double() - 1
    precise, balls = precise.clamp(max=1), balls / neighbours[1]
    recall, coverage = (
        interval(float(share), share + more @ added, 0.0, 1.0) for share, added in zip(held / N, alone / N, strict=True)
    )
    precision = interval(float(precise.mean()), weights @ precise, 0.0, 1.0)
    return precision, recall, interval(float(balls.mean()), weights @ balls, 0.0), coverage


def _squares(a: torch.Tensor, b: torch.Tensor, norms: float = 1.0) -> torch.Tensor:
    """Squared distances (N, M) of float64 (N, D) and (M, D), with the points' squared norms times ``norms``."""
    squares = (a @ b.mT).mul_(-2)
    return squares.add_(norms * a.square().sum(1, keepdim=True)).add_(norms * b.square().sum(1))

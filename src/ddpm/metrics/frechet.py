"""The Fréchet distance between Gaussians fitted to two sets of features."""

from dataclasses import dataclass

import torch

from ddpm.core.stream import Stream
from ddpm.metrics.estimate import Estimate, interval

CHUNK = 8192
"""The number of rows converted to float64 at a time."""


@dataclass(frozen=True, eq=False)
class Normal:
    """A Gaussian by its mean and a factor of its covariance, which has twice the precision.

    Attributes:
        mean: (D,) float64.
        factor: (r, D) float64, r at most D; ``factor.T @ factor`` is the covariance, with divisor n - 1.
    """

    mean: torch.Tensor
    factor: torch.Tensor


def fit(features: torch.Tensor, chunk: int = CHUNK) -> Normal:
    """Fit a Gaussian to (N, D) features by QR decomposition of the centred features, a chunk at a time.

    Two parts of n and m rows with means a and b have the scatter ``R_a^T R_a + R_b^T R_b + nm/(n+m) (a-b)(a-b)^T``
    (Chan et al. 1983), so the factor of the whole is the R of the three stacked.

    Raises:
        ValueError: there are fewer than two features, or some are not finite.
    """
    if len(features) < 2:
        raise ValueError(f"a covariance needs at least 2 samples, not {len(features)}")
    n, mean = 0, features.new_zeros(features.shape[1], dtype=torch.float64)
    factor = mean[None, :][:0]
    for part in torch.split(features, chunk):
        rows = part.double()
        centre, m = rows.mean(0), len(rows)
        between = (n * m / (n + m)) ** 0.5 * (centre - mean)
        factor = torch.linalg.qr(torch.cat([factor, rows - centre, between[None]]), mode="r").R
        n, mean = n + m, mean + m / (n + m) * (centre - mean)
    if not factor.isfinite().all():
        raise ValueError("features must be finite")
    return Normal(mean, factor / (n - 1) ** 0.5)


def distance(a: Normal, b: Normal) -> float:
    """``|m_a - m_b|² + tr(S_a + S_b - 2 (S_a S_b)^½)`` (Dowson & Landau 1982; Heusel et al. 2017, eq. 6).

    With factors R, the trace is ``min_Q |R_a - Q R_b|²`` over matrices Q with orthonormal columns, attained by
    ``Q = U V^T`` where ``R_a R_b^T = U diag(s) V^T`` (the orthogonal Procrustes problem). Without cancellation, it is
    accurate for singular covariances and distances near 0, where the root of ``S_a S_b`` loses half its digits.
    """
    if len(a.factor) < len(b.factor):
        a, b = b, a
    u, _, v = torch.linalg.svd(a.factor @ b.factor.mT, full_matrices=False)
    return float((a.mean - b.mean).square().sum() + (a.factor - u @ (v @ b.factor)).square().sum())


def estimate(features: torch.Tensor, reference: Normal, counts: torch.Tensor) -> Estimate:
    """Estimate the distance of (N, D) features from the reference, with its interval.

    Args:
        counts: (B, N), from `resamples`.
    """
    return interval(distance(fit(features), reference), replicates(features, reference, counts), least=0.0)


def replicates(features: torch.Tensor, reference: Normal, counts: torch.Tensor) -> torch.Tensor:
    """Compute the distance of resamples of (N, D) features from the reference, (B,) float64.

    These use the trace of the root of ``R S R^T``, S the covariance of a resample, with the products in float32. This
    has half the digits, which is plenty for a spread.

    Args:
        counts: (B, N), from `resamples`.
    """
    n, shape = len(features), (len(counts), features.shape[1])
    means, squares, seen = torch.zeros(shape, dtype=torch.float64), [], []
    for part, taken in zip(torch.split(features, CHUNK), torch.split(counts, CHUNK, 1), strict=True):
        rows = part.double() - reference.mean
        means += taken.double() @ rows / n
        squares.append(rows.square().sum(1))
        seen.append((rows @ reference.factor.mT).float())  # (chunk, r), with covariance R S R^T
    shift = means.square().sum(1)
    spread = (counts.double() @ torch.cat(squares) - n * shift) / (n - 1) + reference.factor.square().sum()
    coordinates = torch.cat(seen)
    roots = torch.stack([_root_trace(coordinates, count) for count in counts.float()])
    return shift + spread - 2 * roots


def _root_trace(x: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
    """Compute the trace of the root of the covariance of x (N, r), with row i taken count[i] times; () float64."""
    n, taken = len(x), count > 0
    rows = (x[taken] - count @ x / n) * (count[taken, None] / (n - 1)).sqrt()
    scatter = rows @ rows.mT if len(rows) < rows.shape[1] else rows.mT @ rows
    values: torch.Tensor = torch.linalg.eigvalsh(scatter.double())
    return values.clamp(min=0).sqrt().sum()


def floor(features: torch.Tensor, n: int, seed: int = 0) -> float | None:
    """Compute the distance of n real images from the others: no generator is expected to score lower.

    Args:
        features: (N, D), of all real images.

    Returns:
        The distance of n random ones from the rest; None if the rest is fewer than n, or n is below 2.
    """
    if not 2 <= n <= len(features) // 2:
        return None
    order = Stream(seed, "floor", n).permutation(len(features))
    return distance(fit(features[order[:n]]), fit(features[order[n:]]))

"""Class accuracy: how often a linear classifier, fitted on real features, predicts the requested class of an image."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

CHUNK = 4096
STRENGTHS = torch.logspace(-6, 2, 17, dtype=torch.float64)
"""Candidate ridges, in units of the mean non-zero eigenvalue of the features' scatter."""


@dataclass(frozen=True, eq=False)
class Linear:
    """``x -> argmax(x @ weight + bias)``.

    Attributes:
        weight: (D, K) float64.
        bias: (K,) float64.
        seen: (K,) bool, the classes that it was fitted on and can predict.
        ridge: the chosen strength, for standardised features.
        real: the leave-one-out accuracy on real images.
    """

    weight: torch.Tensor
    bias: torch.Tensor
    seen: torch.Tensor
    ridge: float
    real: float


def fit(features: torch.Tensor, labels: torch.Tensor, classes: int) -> Linear:
    """Fit a ridge regression of one-hot classes on standardised features, in closed form.

    The ridge r minimises the leave-one-out squared error, which needs no refitting: the residual is
    ``(y - y_hat) / (1 - h)``, with leverage ``h = 1/n + z^T (L + r)^-1 z`` for an image at z in the eigenbasis of the
    scatter, whose eigenvalues are L (Allen 1974; Golub et al. 1979). Outputs sum to 1 and are 0 for absent classes,
    which are therefore never the largest.

    Args:
        features: (N, D).
        labels: (N,) int64 below ``classes``.

    Raises:
        ValueError: labels of fewer than two classes, or constant features.
    """
    n, dim = features.shape
    share = labels.bincount(minlength=classes).double() / n
    if (share > 0).sum() < 2:
        raise ValueError("a classifier needs images of at least 2 classes")
    mean = sum((part.double().sum(0) for part in torch.split(features, CHUNK)), torch.zeros(dim).double()) / n
    squares = sum(((part.double() - mean).square().sum(0) for part in torch.split(features, CHUNK)), torch.zeros(dim))
    std = (squares / n).sqrt()
    varies = std > 1e-7 * mean.abs()
    if not varies.any():
        raise ValueError("a classifier cannot be fitted on constant features")
    scale = torch.where(varies, 1 / std, 0.0)

    def parts() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for x, label in zip(torch.split(features, CHUNK), torch.split(labels, CHUNK), strict=True):
            yield (x.double() - mean) * scale, torch.nn.functional.one_hot(label, classes).double()

    scatter = torch.zeros(dim, dim, dtype=torch.float64)
    target = torch.zeros(dim, classes, dtype=torch.float64)
    for x, y in parts():
        scatter += x.mT @ x
        target += x.mT @ y
    values, axes = torch.linalg.eigh(scatter)
    ridges = STRENGTHS * values.sum() / min(n, int(varies.sum()))
    shrinks = 1 / (values.clamp(min=0) + ridges[:, None])  # (strengths, D)
    along = axes.mT @ target

    errors, right = torch.zeros(2, len(ridges), dtype=torch.float64)
    for x, y in parts():
        z = x @ axes
        for i, shrink in enumerate(shrinks):
            leverage = 1 / n + z.square() @ shrink
            residual = (y - share - z @ (shrink[:, None] * along)) / (1 - leverage)[:, None]
            errors[i] += residual.square().sum()
            right[i] += ((y - residual).argmax(1) == y.argmax(1)).sum()
    best = int(errors.argmin())
    weight = scale[:, None] * (axes @ (shrinks[best, :, None] * along))
    return Linear(weight, share - mean @ weight, share > 0, float(ridges[best]), float(right[best] / n))


def predict(linear: Linear, features: torch.Tensor) -> torch.Tensor:
    """Predict the classes of (N, D) features, (N,) int64."""
    scores = [part.double() @ linear.weight + linear.bias for part in torch.split(features, CHUNK)]
    return torch.cat([score.argmax(1) for score in scores])


def estimate(linear: Linear, features: torch.Tensor, asked: torch.Tensor) -> tuple[float, dict[int, float]]:
    """Compute how often (N, D) features are classified as the requested classes (N,), except those without real images.

    Returns:
        The accuracy over all images, and by class.

    Raises:
        ValueError: no requested class has real images.
    """
    known = linear.seen[asked]
    if not known.any():
        raise ValueError("none of the requested classes has real images")
    right, label = predict(linear, features[known]) == asked[known], asked[known]
    by_class = {int(c): float(right[label == c].double().mean()) for c in torch.unique(label)}
    return float(right.double().mean()), by_class

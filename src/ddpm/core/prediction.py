"""Prediction types, each given by two coefficients.

A network's output F estimates ``a · x0 + b · eps``. With ``x_t = alpha · x0 + sigma · eps`` these are two equations
in two unknowns, so the pair (a, b) gives the training target, x0 from F, and F from x0.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ddpm.core.level import Level, Scalar, scale, weighted_sum

Prediction = Callable[[Level], tuple[Scalar, Scalar]]
"""Level -> (a, b): the network estimates ``a · x0 + b · eps`` there."""


def eps(level: Level) -> tuple[Scalar, Scalar]:
    """Prediction of the noise (Ho et al. 2020, eq. 14)."""
    return 0.0, 1.0


def x0(level: Level) -> tuple[Scalar, Scalar]:
    """Prediction of the clean image."""
    return 1.0, 0.0


def v(level: Level) -> tuple[Scalar, Scalar]:
    """Prediction of ``v = (alpha · eps - sigma · x0) / sqrt(alpha² + sigma²)`` (Salimans & Ho 2022, sec. 4).

    The root is 1 there; with it, v also has unit scale if the process does not preserve variance.
    """
    norm = (level.alpha**2 + level.sigma**2) ** 0.5
    return -level.sigma / norm, level.alpha / norm


def flow(level: Level) -> tuple[Scalar, Scalar]:
    """Prediction of the direction ``eps - x0`` of the straight line (Liu et al. 2022, Lipman et al. 2022)."""
    return -1.0, 1.0


@dataclass(frozen=True, slots=True)
class EDMPrediction:
    """Prediction of ``(x0 - c_skip · x) / c_out`` (Karras et al. 2022, table 1), for x on any scale.

    With x / alpha = x0 + (sigma / alpha) · eps and ``r = sqrt(sigma² + sigma_data² · alpha²)`` this is
    ``a = sigma / (sigma_data · r)``, ``b = -sigma_data · alpha / r``: -v if sigma_data is 1.

    Attributes:
        sigma_data: The standard deviation of the data.
    """

    sigma_data: float = 0.5

    def __call__(self, level: Level) -> tuple[Scalar, Scalar]:
        r = (level.sigma**2 + self.sigma_data**2 * level.alpha**2) ** 0.5
        return level.sigma / (self.sigma_data * r), -self.sigma_data * level.alpha / r


def target(predict: Prediction, x0: torch.Tensor, eps: torch.Tensor, level: Level) -> torch.Tensor:
    """The training target ``a · x0 + b · eps``. Shapes (B, C, *space)."""
    a, b = predict(level)
    return scale(a, x0) + scale(b, eps)


def x0_from_output(predict: Prediction, output: torch.Tensor, x: torch.Tensor, level: Level) -> torch.Tensor:
    """``x0 = (b · x_t - sigma · F) / (b · alpha - a · sigma)``. Shapes (B, C, *space).

    Raises:
        ZeroDivisionError: if the output does not determine x0, as eps at a level without signal.
    """
    a, b = predict(level)
    d = b * level.alpha - a * level.sigma
    return weighted_sum(b / d, x, -level.sigma / d, output)

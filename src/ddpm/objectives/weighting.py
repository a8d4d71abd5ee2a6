"""Loss weightings by noise level.

A weighting w multiplies ``||x0_hat - x0||²``, whatever the network predicts, as in the comparison of Hang et al. 2023.
The functions here return ``w · sigma²``, which stays finite at nearly clean levels.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ddpm.core import Level, Prediction, Scalar

Weighting = Callable[[Level, Prediction], Scalar]
"""(level, prediction) -> w · sigma², (B,)."""

NEARLY_NOTHING = 1e-150
"""Replaces an alpha or sigma of 0, so that a quotient of two squares gives its limit instead of 0 / 0."""


def constant(level: Level, prediction: Prediction) -> torch.Tensor:
    """``w = 1``: the error of x0 itself."""
    _, sigma2 = _squares(level)
    return sigma2


def snr(level: Level, prediction: Prediction) -> torch.Tensor:
    """``w = SNR``: the error of eps itself (Ho et al. 2020, eq. 14)."""
    alpha2, _ = _squares(level)
    return alpha2


def truncated_snr(level: Level, prediction: Prediction) -> torch.Tensor:
    """``w = max(SNR, 1)``: the larger of the errors of x0 and eps (Salimans & Ho 2022, sec. 4)."""
    alpha2, sigma2 = _squares(level)
    return torch.maximum(alpha2, sigma2)


def simple(level: Level, prediction: Prediction) -> torch.Tensor:
    """``w = d² / sigma²``, ``d = b · alpha - a · sigma``: the error of the network's output itself."""
    a, b = prediction(level)
    return torch.as_tensor(b * level.alpha - a * level.sigma, dtype=torch.float64).square()


@dataclass(frozen=True, slots=True)
class MinSNR:
    """``w = min(SNR, gamma)``: nearly clean levels do not outweigh the rest (Hang et al. 2023, sec. 3.4)."""

    gamma: float = 5.0

    def __call__(self, level: Level, prediction: Prediction) -> torch.Tensor:
        alpha2, sigma2 = _squares(level)
        return torch.minimum(alpha2, self.gamma * sigma2)


@dataclass(frozen=True, slots=True)
class P2:
    """``w = SNR / (k + SNR)^gamma``: less weight on imperceptible details (Choi et al. 2022)."""

    k: float = 1.0
    gamma: float = 1.0

    def __call__(self, level: Level, prediction: Prediction) -> torch.Tensor:
        alpha2, sigma2 = _squares(level)
        return alpha2 * (sigma2 / (self.k * sigma2 + alpha2)) ** self.gamma


@dataclass(frozen=True, slots=True)
class EDMWeighting:
    """``w = SNR + 1 / sigma_data²``; for alpha = 1 this is lambda(sigma) of Karras et al. 2022, table 1."""

    sigma_data: float = 0.5

    def __call__(self, level: Level, prediction: Prediction) -> torch.Tensor:
        alpha2, sigma2 = _squares(level)
        return alpha2 + sigma2 / self.sigma_data**2


def on_output(weighting: Weighting, prediction: Prediction, level: Level) -> torch.Tensor:
    """Convert a weighting to that of ``||F - target||²``, the error of the output: ``w · sigma² / d²``, (B,) float64.

    That error is ``(d / sigma)² · ||x0_hat - x0||²``. Where alpha or sigma is 0 the weight is its limit: for eps
    prediction, which does not determine x0 without signal, it is 1 under SNR and infinite under a constant.
    """
    alpha, sigma = (
        torch.as_tensor(v, dtype=torch.float64).clamp(min=NEARLY_NOTHING) for v in (level.alpha, level.sigma)
    )
    near = Level(level.t, alpha, sigma)
    return torch.as_tensor(weighting(near, prediction)) / simple(near, prediction)


def concentration(weights: torch.Tensor) -> float:
    """Return the effective fraction of levels under these weights, ``(Σ w)² / (n Σ w²)``, in (0, 1].

    Args:
        weights: (n,), the weights of sampled levels.
    """
    return float(weights.sum() ** 2 / (len(weights) * weights.square().sum()))


def _squares(level: Level) -> tuple[torch.Tensor, torch.Tensor]:
    alpha, sigma = (torch.as_tensor(v, dtype=torch.float64) for v in (level.alpha, level.sigma))
    return alpha.square(), sigma.square()

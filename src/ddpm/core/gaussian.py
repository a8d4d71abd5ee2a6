"""The algebra of a Gaussian diffusion, as functions of two levels.

Every function takes any pair (t, s) with s cleaner than t, neighbours or not, so a process on fewer levels needs
no tables of its own. Numbers are float64 floats or (B,) tensors, as the levels hold them.
"""

from typing import NamedTuple

import torch

from ddpm.core.level import Level, Scalar, scale


def diffuse(x0: torch.Tensor, eps: torch.Tensor, level: Level) -> torch.Tensor:
    """``x_t = alpha · x0 + sigma · eps`` (Ho et al. 2020, eq. 4). Shapes (B, C, *space)."""
    return scale(level.alpha, x0) + scale(level.sigma, eps)


class Transition(NamedTuple):
    """``q(x_t | x_s) = N(ratio · x_s, var)``."""

    ratio: Scalar
    var: Scalar


def transition(t: Level, s: Level) -> Transition:
    """The forward step from s to the noisier t: ``var_t|s = sigma_t² - (alpha_t / alpha_s)² sigma_s²``."""
    ratio = t.alpha / s.alpha
    return Transition(ratio, t.sigma**2 - ratio**2 * s.sigma**2)


class Posterior(NamedTuple):
    """``q(x_s | x_t, x0) = N(x0_weight · x0 + xt_weight · x_t, var)``."""

    x0_weight: Scalar
    xt_weight: Scalar
    var: Scalar

    def mean(self, x0: torch.Tensor, x_t: torch.Tensor) -> torch.Tensor:
        """The posterior's mean, (B, C, *space)."""
        return scale(self.x0_weight, x0) + scale(self.xt_weight, x_t)


def posterior(t: Level, s: Level) -> Posterior:
    """The step back from t to the cleaner s when x0 is known (Ho et al. 2020, eq. 6 and 7, for any pair).

    ``var = var_t|s · sigma_s² / sigma_t²``; the mean weighs x0 by ``alpha_s · var_t|s / sigma_t²`` and x_t by
    ``(alpha_t / alpha_s)(sigma_s² / sigma_t²)``.
    """
    ratio, var = transition(t, s)
    kept = s.sigma**2 / t.sigma**2
    return Posterior(s.alpha * var / t.sigma**2, ratio * kept, var * kept)


def kl(mean_p: torch.Tensor, log_var_p: Scalar, mean_q: torch.Tensor, log_var_q: Scalar) -> torch.Tensor:
    """``KL(p || q)`` of diagonal Gaussians, in nats, element by element.

    Args:
        mean_p, mean_q: (B, C, *space).
        log_var_p, log_var_q: logarithms of the variances: floats, (B,) tensors, or tensors like the means.
    """
    p, q = (_spread(v, mean_p) for v in (log_var_p, log_var_q))
    return 0.5 * (q - p - 1 + (p - q).exp() + (mean_p - mean_q) ** 2 * (-q).exp())


def _spread(value: Scalar, like: torch.Tensor) -> torch.Tensor:
    if isinstance(value, torch.Tensor) and value.ndim == like.ndim:
        return value
    return scale(value, torch.ones_like(like))

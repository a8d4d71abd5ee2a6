"""The algebra of a Gaussian diffusion, as functions of two levels.

Every function takes any pair (t, s) with s cleaner than t, adjacent or not, so sampling on fewer levels needs no
tables. Coefficients are float64 floats or (B,) tensors, as in the levels.
"""

import math
from typing import NamedTuple

import torch

from ddpm.core.level import Level, Scalar, scale, weighted_sum


def diffuse(x0: torch.Tensor, eps: torch.Tensor, level: Level) -> torch.Tensor:
    """``x_t = alpha · x0 + sigma · eps`` (Ho et al. 2020, eq. 4). Shapes (B, C, *space)."""
    return weighted_sum(level.alpha, x0, level.sigma, eps)


class Transition(NamedTuple):
    """``q(x_t | x_s) = N(ratio · x_s, var)``."""

    ratio: Scalar
    var: Scalar


def transition(t: Level, s: Level) -> Transition:
    """The forward transition from s to the noisier t: ``var_t|s = sigma_t² - (alpha_t / alpha_s)² sigma_s²``."""
    ratio = t.alpha / s.alpha
    return Transition(ratio, t.sigma**2 - ratio**2 * s.sigma**2)


class Posterior(NamedTuple):
    """``q(x_s | x_t, x0) = N(x0_weight · x0 + xt_weight · x_t, var)``."""

    x0_weight: Scalar
    xt_weight: Scalar
    var: Scalar

    def mean(self, x0: torch.Tensor, x_t: torch.Tensor) -> torch.Tensor:
        """The mean of the posterior, (B, C, *space)."""
        return weighted_sum(self.x0_weight, x0, self.xt_weight, x_t)


def posterior(t: Level, s: Level) -> Posterior:
    """The posterior of the cleaner s given t and x0 (Ho et al. 2020, eq. 6 and 7, for any pair).

    ``var = var_t|s · sigma_s² / sigma_t²``; the mean weighs x0 by ``alpha_s · var_t|s / sigma_t²`` and x_t by
    ``(alpha_t / alpha_s)(sigma_s² / sigma_t²)``.
    """
    ratio, var = transition(t, s)
    kept = s.sigma**2 / t.sigma**2
    return Posterior(s.alpha * var / t.sigma**2, ratio * kept, var * kept)


def ddim(x: torch.Tensor, x0: torch.Tensor, now: Level, next: Level) -> torch.Tensor:
    """``alpha_s · x0 + (sigma_s / sigma_t) · (x - alpha_t · x0)``: a deterministic step (Song et al. 2021, eq. 12).

    It leads from any noisy level to any other level, those without noise or without signal among them.
    """
    c = next.sigma / now.sigma
    return weighted_sum(c, x, next.alpha - c * now.alpha, x0)


def x0_variance(level: Level, std: float) -> Scalar:
    """The variance of each value of x0 given x_t, for data ~ N(., std² I): ``std² sigma² / (std² alpha² + sigma²)``.

    Args:
        level: A noisy level.
    """
    return std**2 * level.sigma**2 / (std**2 * level.alpha**2 + level.sigma**2)


class LogVariances(NamedTuple):
    """The log-variances that bound a reverse step: of the posterior and of the forward transition.

    They are optimal for data that is a single point and for data ~ N(0, I) (Ho et al. 2020, sec. 3.2).
    """

    low: Scalar
    high: Scalar


def log_variances(t: Level, s: Level, least: float) -> LogVariances:
    """``log var_post`` and ``log var_t|s``: floats, or (B,) float64 tensors where the levels are tensors.

    Args:
        least: The variance to use if s is clean and the posterior's variance is 0; the original codes use that of the
            next noisier pair (``posterior_log_variance_clipped``).
    """
    low = _where_clean(s, least, posterior(t, s).var)
    return LogVariances(_log(low), _log(transition(t, s).var))


def reverse_log_variance(
    t: Level, s: Level, least: float, var_mix: torch.Tensor | None = None, fixed: float = 0.0
) -> Scalar:
    """``log Sigma = m · log var_t|s + (1 - m) · log var_post`` (Nichol & Dhariwal 2021, eq. 15).

    Args:
        least: See :func:`log_variances`. If s is clean, every fixed variance equals this, as in the original codes; a
            learned one mixes it with ``var_t|s``.
        var_mix: The learned m, (B, C, *space) in [0, 1]; the result has the same shape.
        fixed: The fixed m if none is learned: 0 is "fixed small", 1 "fixed large". The result is a float or (B,).
    """
    low, high = log_variances(t, s, least)
    if var_mix is not None:
        return scale(high, var_mix) + scale(low, 1 - var_mix)
    return fixed * _where_clean(s, low, high) + (1 - fixed) * low


def kl(difference: torch.Tensor, log_var_p: Scalar, log_var_q: Scalar) -> torch.Tensor:
    """``KL(p || q)`` of diagonal Gaussians, in nats, element by element.

    Args:
        difference: (B, C, *space), the difference of the means; the means themselves would cancel in float32.
        log_var_p, log_var_q: The log-variances: floats, (B,) tensors, or tensors like the difference.
    """
    p, q = (_spread(v, difference) for v in (log_var_p, log_var_q))
    # expm1(d) - d stays accurate for almost equal variances
    return 0.5 * ((p - q).expm1() - (p - q) + difference**2 * (-q).exp())


HALF_STEP = 1 / 255
"""Half the distance between neighbouring 8-bit values in [-1, 1]."""


def discretised_log_likelihood(x: torch.Tensor, mean: torch.Tensor, log_var: Scalar) -> torch.Tensor:
    """The log-probability of 8-bit values under a discretised Gaussian, in nats, element by element.

    ``log ∫ N(y; mean, var) dy`` from x - 1/255 to x + 1/255, to infinity at the two ends (Ho et al. 2020, eq. 13).
    Uses the exact normal CDF in logarithms: the original's tanh approximation is off by up to 2e-4, and its clamp at
    1e-12 removes the gradient of large errors. Here they stay finite and keep their gradient.

    Args:
        x: (B, C, *space), values v / 127.5 - 1 for v in 0 … 255.
        mean: Like x.
        log_var: The log-variance: a float, a (B,) tensor, or a tensor like x.
    """
    precision = (-0.5 * _spread(log_var, x)).exp()
    off = x - mean
    # the tail beyond the inner edge of the outermost values
    outermost = _log_cdf((HALF_STEP - x.sign() * off) * precision)
    # log(Φ(b) - Φ(a)), mirrored to the left of the mean, where log Φ is accurate
    log_a, log_b = (_log_cdf((edge - off.abs()) * precision) for edge in (-HALF_STEP, HALF_STEP))
    inner = log_b + (-(log_a - log_b).expm1()).log()
    return torch.where(x.abs() > 1 - HALF_STEP, outermost, inner)


def _log_cdf(z: torch.Tensor) -> torch.Tensor:
    """``log Φ(z)`` of the standard normal distribution, with a gradient that stays accurate in any tail.

    The gradient of ``torch.special.log_ndtr`` is lost below z = -1000, which occurs early in training.
    """
    left, right = z.clamp(max=0), z.clamp(min=0)
    tail = torch.special.erfcx(left * -math.sqrt(0.5)).log() - math.log(2) - 0.5 * left**2
    return torch.where(z < 0, tail, (-0.5 * torch.special.erfc(right * math.sqrt(0.5))).log1p())


def _where_clean(s: Level, there: Scalar, elsewhere: Scalar) -> Scalar:
    """One value where s is clean, another elsewhere."""
    if isinstance(s.sigma, torch.Tensor):
        one, other = (torch.as_tensor(v, dtype=s.sigma.dtype) for v in (there, elsewhere))
        return torch.where(s.sigma == 0, one, other)
    return there if s.clean else elsewhere


def _log(value: Scalar) -> Scalar:
    return value.log() if isinstance(value, torch.Tensor) else math.log(value)


def _spread(value: Scalar, like: torch.Tensor) -> torch.Tensor:
    if isinstance(value, torch.Tensor) and value.ndim == like.ndim:
        return value
    return scale(value, torch.ones_like(like))

"""Exponential integrators: steps that solve the linear part of a probability flow exactly.

With ``lambda = log(alpha / sigma)``, h from level t to level s, and whatever ``alpha² + sigma²`` is,

    x_s = (sigma_s / sigma_t) x_t + alpha_s ∫₀ʰ exp(u - h) x0(lambda_t + u) du
        = (alpha_s / alpha_t) x_t - sigma_s ∫₀ʰ exp(h - u) eps(lambda_t + u) du

(Lu et al. 2022b, eq. 8; Zhang & Chen 2022, eq. 11). A multistep method integrates the polynomial through what it was
told at the levels of its past. The two forms are one under ``alpha, x0, lambda ↔ sigma, eps, -lambda``, and with one
point both are DDIM's step, :func:`~ddpm.core.gaussian.ddim`.
"""

import math
from collections.abc import Callable, Sequence

import torch

from ddpm.core import Level
from ddpm.core.level import Scalar

TAYLOR = [1 / math.factorial(i) for i in range(24)]
"""1 / i!"""

B = Callable[[float], float]
"""Zhao et al.'s B(h), any function h + O(h²), of which the low-order weights are multiples."""


def bh1(h: float) -> float:
    """``h``."""
    return h


def bh2(h: float) -> float:
    """``1 - exp(-h)``, the weight of an x0 that does not change."""
    return -math.expm1(-h)


def half_log_snr(level: Level) -> float:
    """``lambda = log(alpha / sigma)`` of a level of floats, -inf where there is no signal and inf where no noise."""
    if not level.alpha:
        return -math.inf
    return math.inf if level.clean else math.log(level.alpha / level.sigma)


def combine(x: torch.Tensor, scale: Scalar, weights: Sequence[float], values: Sequence[torch.Tensor]) -> torch.Tensor:
    """``x + scale · Σ weight · value``, all (B, C, *space), the scale a float."""
    for weight, value in zip(weights, values, strict=True):
        x = x.add(value, alpha=float(scale) * weight)
    return x


def extrapolation(nodes: Sequence[float], h: float, b: B = bh2) -> list[float]:
    """Weights of the x0 at nodes ``0, -h₁, …`` over the step to h, one for each of up to three or more points.

    Two points get the rule that spares the integral, ``B(h) / 2`` times the slope: with bh2 it is DPM-Solver++(2M)
    (Lu et al. 2022b, alg. 2), in general UniP-2 (Zhao et al. 2023, app. E). More are interpolated exactly.
    """
    if len(nodes) == 1:
        return [bh2(h)]
    if len(nodes) == 2:
        slope = b(h) / 2 * h / nodes[1]
        return [bh2(h) - slope, slope]
    return interpolation(nodes, h)


def interpolation(nodes: Sequence[float], h: float, curvature: float = 1.0) -> list[float]:
    """``∫₀ʰ exp(u - h) L_k(u) du`` of each Lagrange polynomial L_k of the nodes: their sum is ``1 - exp(-h)``.

    Exact for every polynomial in lambda through them. For the second form, of eps: negative nodes and negative h.

    Args:
        curvature: share of the terms in u² that is kept, u = 0 at the newest node; 1 is exact.
    """
    # ∫₀ʰ exp(u - h) (u / h)^j du = h · j! · phi_{j+1}(-h)
    moments = [h * math.factorial(j) * phi(j + 1, -h) * (curvature if j == 2 else 1) for j in range(len(nodes))]
    weights = []
    for k, node in enumerate(nodes):
        # L_k as Σ c_j (u / h)^j, one factor (u - other) / (node - other) after the other
        c = [1.0]
        for other in (*nodes[:k], *nodes[k + 1 :]):
            c = [(up * h - same * other) / (node - other) for up, same in zip([0.0, *c], [*c, 0.0], strict=True)]
        weights.append(sum(c_j * moment for c_j, moment in zip(c, moments, strict=True)))
    return weights


def phi(k: int, z: float) -> float:
    """``phi_0(z) = exp(z)``, ``phi_{k+1}(z) = (phi_k(z) - 1 / k!) / z``, which is ``Σ z^i / (i + k)!``."""
    if abs(z) < 1:  # the series, as the recursion would cancel
        value = 0.0
        for term in reversed(TAYLOR[k:]):
            value = value * z + term
        return value
    value = math.exp(z)
    for j in range(k):
        value = (value - TAYLOR[j]) / z
    return value

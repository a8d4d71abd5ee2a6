"""The variational bound on the log-likelihood of 8-bit images, in bits per dimension."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch

from ddpm.core import Cond, Denoised, Denoiser, Level, scale
from ddpm.core.gaussian import (
    diffuse,
    discretised_log_likelihood,
    kl,
    log_variances,
    posterior,
    reverse_log_variance,
    transition,
)
from ddpm.core.level import stacked


def term(
    x0: torch.Tensor, denoised: Denoised, now: Level, next: Level, least: float, fixed: float = 0.0
) -> torch.Tensor:
    """Compute the term of one reverse step, (B,) bits per dimension (Ho et al. 2020, eq. 5).

    Where s is noisy ``KL(q(x_s | x_t, x0) || p(x_s | x_t))``; where it is clean ``-log p(x0 | x_t)`` of 8-bit values.
    x_t is not needed: it has the same weight in both means, and where s is clean p's mean is the denoised image.

    Args:
        x0: (B, C, *space), 8-bit values in [-1, 1].
        denoised: the denoiser's answer for x_t.
        now, next: the levels t and s; as tensors, they may mix clean and noisy s.
        least: the variance used in place of the posterior's where s is clean; see :func:`least`.
        fixed: the variance if none is learned, from 0, "fixed small", to 1, "fixed large".
    """
    log_var = reverse_log_variance(now, next, least, denoised.var_mix, fixed)

    def divergence() -> torch.Tensor:
        error = scale(posterior(now, next).x0_weight, x0 - denoised.x0)
        return _bits(kl(error, log_variances(now, next, least).low, log_var))

    def decoder() -> torch.Tensor:
        return _bits(-discretised_log_likelihood(x0, denoised.x0, log_var))

    if isinstance(next.sigma, torch.Tensor):
        return torch.where((next.sigma == 0).to(x0.device), decoder(), divergence())
    return decoder() if next.clean else divergence()


def prior(x0: torch.Tensor, level: Level) -> torch.Tensor:
    """``KL(q(x_T | x0) || N(0, sigma_T² I)) = SNR_T · x0² / 2``, (B,) bits per dimension.

    Sampling starts from this Gaussian (``sampling.start``). The original codes take N(0, I) instead; at the last level
    of linear T = 1000 they differ by some 4e-5 of their value.
    """
    return _bits(scale(0.5 * level.snr, x0**2))


def least(grid: Sequence[Level]) -> float:
    """Return the least posterior variance of a grid, that of the second-last pair; of a single step, the forward one.

    It replaces the last pair's, which is 0 (Ho et al. 2020's code: ``posterior_log_variance_clipped``).
    """
    if len(grid) == 2:
        return float(transition(grid[0], grid[1]).var)
    return float(posterior(grid[-3], grid[-2]).var)


class LevelPair(NamedTuple):
    """Two neighbouring levels of a grid, the same for all images (floats) or one pair each (tensors (B,)).

    Attributes:
        now, next: the levels t and s.
        weight: the number of pairs of the grid that this one represents.
    """

    now: Level
    next: Level
    weight: int = 1


def every_pair(grid: Sequence[Level]) -> list[LevelPair]:
    """Return all S pairs of a grid, noisiest first."""
    return [LevelPair(now, next) for now, next in pairwise(grid)]


def sampled_pairs(grid: Sequence[Level], u: torch.Tensor) -> list[LevelPair]:
    """Choose random pairs for each image, for an unbiased estimate of the bound.

    The S - 1 pairs of noisy levels are split into k runs, and a pair chosen uniformly represents each run. Runs are
    shorter towards the clean end, where terms are larger and vary the most. The last pair, with the decoder, is always
    included. This takes k + 1 network calls instead of S.

    Args:
        u: (B, k) uniform in [0, 1), a row per image, with k in 1 … S - 1.

    Raises:
        ValueError: k is out of range.
    """
    k, choices = u.shape[1], len(grid) - 2
    if not 1 <= k <= choices:
        raise ValueError(f"the number of sampled pairs must be between 1 and {choices}, not {k}")
    levels = stacked(grid)
    pairs = []
    for j, (first, end) in enumerate(pairwise(_edges(choices, k))):
        i = first + (u[:, j].double() * (end - first)).long()
        pairs.append(LevelPair(levels.rows(i), levels.rows(i + 1), end - first))
    return [*pairs, LevelPair(grid[-2], grid[-1])]


def _edges(n: int, k: int) -> list[int]:
    """Return the edges of k runs of n pairs, noisiest first: squares counted from the clean end, kept distinct."""
    edges = [0]  # counted from the clean end
    for j in range(1, k + 1):
        edges.append(min(max(round(n * (j / k) ** 2), edges[-1] + 1), n - (k - j)))
    return [n - edge for edge in reversed(edges)]


@dataclass(frozen=True, slots=True, eq=False)
class Bound:
    """The bound on the bits per dimension of each image, by its terms.

    Attributes:
        prior: (B,), the term of the noisiest level.
        terms: (B, S), the term of each pair, noisiest first; for sampled pairs (B, k + 1), multiplied by their weight.
        x0_mse: like terms, the mean of (x0 - denoised)² at each pair's noisier level.
    """

    prior: torch.Tensor
    terms: torch.Tensor
    x0_mse: torch.Tensor

    @property
    def total(self) -> torch.Tensor:
        """(B,), an upper bound on the code length under the model; for sampled pairs an unbiased estimate of it."""
        return self.prior + self.terms.sum(1)

    @property
    def kl(self) -> torch.Tensor:
        """(B,), the sum over all pairs but the last."""
        return self.terms[:, :-1].sum(1)

    @property
    def decoder(self) -> torch.Tensor:
        """(B,), the term of the last pair: the 8-bit values given the cleanest noisy level."""
        return self.terms[:, -1]


def bound(
    denoise: Denoiser,
    x0: torch.Tensor,
    grid: Sequence[Level],
    randn: Callable[[], torch.Tensor],
    cond: Cond | None = None,
    fixed: float = 0.0,
    pairs: Iterable[LevelPair] | None = None,
) -> Bound:
    """Bound -log2 p(x0) per dimension from above, p being ancestral sampling on the grid (Ho et al. 2020, eq. 5).

    Makes one network call per pair, at ``x_t = alpha · x0 + sigma · randn()``.

    Args:
        denoise: the denoiser with its wrappers; clipping tightens the bound, as images are in [-1, 1].
        x0: (B, C, *space), 8-bit values in [-1, 1].
        grid: falling levels, the last clean.
        randn: returns fresh standard normal noise like x0.
        cond: the conditioning of the images.
        fixed: the variance if none is learned, from 0, "fixed small", to 1, "fixed large".
        pairs: :func:`every_pair` of the grid if None, or :func:`sampled_pairs`. They are consumed one by one, so that
            an iterator around them can report progress.
    """
    smallest = least(grid)
    terms, x0_mse = [], []
    for now, next, weight in every_pair(grid) if pairs is None else pairs:
        with torch.no_grad():
            denoised = denoise(diffuse(x0, randn(), now), now, cond)
            terms.append(weight * term(x0, denoised, now, next, smallest, fixed))
            x0_mse.append((x0 - denoised.x0).square().flatten(1).mean(1))
    return Bound(prior(x0, grid[0]), torch.stack(terms, 1), torch.stack(x0_mse, 1))


def _bits(nats: torch.Tensor) -> torch.Tensor:
    """Average nats per element (B, C, *space) over each image, in bits (B,)."""
    return nats.flatten(1).mean(1) / math.log(2)

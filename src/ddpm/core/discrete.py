"""Forward processes in discrete time: tables of signal and noise scales."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from ddpm.core.level import Level

MAX_BETA = 0.999
"""The largest beta, below 1 to avoid a division by zero (Nichol & Dhariwal 2021, sec. 3.2)."""


@dataclass(frozen=True, eq=False)
class Discrete:
    """A variance-preserving process with levels 0 … T: level 0 is clean, level T the noisiest.

    Published networks count their T noisy levels from zero, so level i is fed to them as t = i - 1.
    Between two noisy levels the angle theta of (alpha, sigma) = (cos theta, sin theta) is interpolated linearly.

    Attributes:
        alpha_bar: (T + 1,) float64, the variance of the remaining signal, decreasing from exactly 1.
    """

    alpha_bar: torch.Tensor

    def __post_init__(self) -> None:
        a = self.alpha_bar
        if a.dtype != torch.float64 or a.ndim != 1 or len(a) < 2:
            raise ValueError("alpha_bar must be a float64 vector with at least two entries")
        if a[0] != 1 or not bool((a.diff() < 0).all()) or a[-1] < 0:
            raise ValueError("alpha_bar must start at 1 and decrease strictly, to at least 0")

    @property
    def T(self) -> int:
        """The number of noisy levels."""
        return len(self.alpha_bar) - 1

    @cached_property
    def _alpha(self) -> torch.Tensor:
        return self.alpha_bar.sqrt()

    @cached_property
    def _sigma(self) -> torch.Tensor:
        return (1 - self.alpha_bar).sqrt()

    @cached_property
    def _theta(self) -> torch.Tensor:
        return torch.atan2(self._sigma, self._alpha)

    def level(self, timestep: float) -> Level:
        """The level at timestep 0 or in [1, T], as Python floats; taken from the table at whole timesteps.

        Raises:
            ValueError: if the timestep is elsewhere; there is nothing between the clean level and level 1.
        """
        if not 0 <= timestep <= self.T:
            raise ValueError(f"timestep {timestep} is outside 0 … {self.T}")
        i = int(timestep)
        if timestep == i:
            return Level(float(i - 1), float(self._alpha[i]), float(self._sigma[i]))
        if i == 0:
            raise ValueError(
                f"timestep {timestep} must be 0 or at least 1, as a discrete schedule has no level between"
            )
        theta = float(torch.lerp(self._theta[i], self._theta[i + 1], timestep - i))
        return Level(timestep - 1, math.cos(theta), math.sin(theta))

    def levels(self, timesteps: torch.Tensor) -> Level:
        """The levels at timesteps (B,), as float64 tensors (B,) on the CPU.

        Timesteps between two levels are rounded up, so one uniform in (0, T] gives a level uniform in 1 … T.
        """
        i = timesteps.ceil().long()
        return Level((i - 1).double(), self._alpha[i], self._sigma[i])

    def timestep(self, ratio: torch.Tensor, least: float = 1.0) -> torch.Tensor:
        """The timesteps in [least, T] with sigma / alpha = ratio, (n,) float64; ratios beyond the ends are clamped.

        Args:
            least: The least timestep to return; below 1 it is 1, as there is nothing between level 0 and level 1.
        """
        theta, knots = torch.atan(ratio), self._theta[1:]
        if self.T == 1:
            return torch.ones_like(theta)
        i = torch.searchsorted(knots, theta).clamp(1, self.T - 1)
        part = (theta - knots[i - 1]) / (knots[i] - knots[i - 1])
        return (i + part).clamp(max(least, 1), self.T)


def from_betas(betas: torch.Tensor) -> Discrete:
    """The schedule in which step i keeps 1 - betas[i - 1] of the variance (Ho et al. 2020, sec. 2).

    Args:
        betas: (T,) float64, each in (0, 1].
    """
    one = torch.ones(1, dtype=torch.float64)
    return Discrete(torch.cat([one, (1 - betas).cumprod(0)]))


def custom(betas: Sequence[float]) -> Discrete:
    """The schedule of arbitrary betas, cleanest first (``trained_betas`` in diffusers).

    Raises:
        ValueError: if a beta is not between 0 and 1 (the last may be 1, for pure noise), or neighbouring levels are
            equal in float64.
    """
    if not betas:
        raise ValueError("betas is empty; add at least one")
    for i, beta in enumerate(betas, 1):
        if not (0 < beta < 1 or (beta == 1 and i == len(betas))):
            raise ValueError(
                f"beta {i} of {len(betas)} is {beta}; each must be above 0 and below 1, except that the last may be 1"
            )
    try:
        return from_betas(torch.tensor(betas, dtype=torch.float64))
    except ValueError as e:
        raise ValueError("the betas give levels that float64 cannot distinguish; use larger or fewer betas") from e


def linear(T: int = 1000, start: float = 1e-4, end: float = 0.02) -> Discrete:
    """The linear schedule, with evenly spaced betas (Ho et al. 2020, sec. 4).

    The two ends are for T = 1000; for another T they are scaled by 1000 / T, which keeps the noise at the last level
    (Nichol & Dhariwal 2021), and clamped to 0.999.
    """
    _check(T)
    betas = torch.linspace(start, end, T, dtype=torch.float64) * (1000 / T)
    return from_betas(betas.clamp(max=MAX_BETA))


def scaled_linear(T: int = 1000, start: float = 0.00085, end: float = 0.012) -> Discrete:
    """The scaled-linear schedule, with evenly spaced √beta (Rombach et al. 2022), scaled as in :func:`linear`."""
    _check(T)
    betas = torch.linspace(math.sqrt(start), math.sqrt(end), T, dtype=torch.float64) ** 2 * (1000 / T)
    return from_betas(betas.clamp(max=MAX_BETA))


def cosine(T: int = 1000, s: float = 0.008) -> Discrete:
    """The cosine schedule, ``ᾱ(u) = cos²((u + s) / (1 + s) · π / 2)``, betas at most 0.999.

    Nichol & Dhariwal 2021, eq. 17.
    """
    _check(T)
    u = torch.arange(T + 1, dtype=torch.float64) / T
    return _from_curve(torch.cos((u + s) / (1 + s) * math.pi / 2) ** 2)


def sigmoid(T: int = 1000, start: float = -3.0, end: float = 3.0, tau: float = 1.0) -> Discrete:
    """The sigmoid schedule, ᾱ along a logistic curve, betas at most 0.999 (Jabri et al. 2023, alg. 1)."""
    _check(T)
    u = torch.arange(T + 1, dtype=torch.float64) / T
    low, high = (torch.sigmoid(torch.tensor(v / tau, dtype=torch.float64)) for v in (start, end))
    return _from_curve((high - torch.sigmoid((u * (end - start) + start) / tau)) / (high - low))


def zero_terminal_snr(schedule: Discrete) -> Discrete:
    """Shift and rescale alpha so that the last level has no signal (Lin et al. 2023, alg. 1).

    Samples can then have any mean brightness; eps prediction cannot be used, since it does not determine x0 at the
    last level.
    """
    if schedule.T < 2:
        raise ValueError("zero_terminal_snr requires at least two noisy levels, but T is 1")
    alpha = schedule.alpha_bar.sqrt()
    first, last = alpha[1].clone(), alpha[-1].clone()
    stretched = (alpha[1:] - last) * (first / (first - last))
    return Discrete(torch.cat([alpha[:1], stretched]) ** 2)


def _from_curve(alpha_bar: torch.Tensor) -> Discrete:
    """The schedule of a curve of ᾱ at T + 1 points."""
    return from_betas((1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=MAX_BETA))


def _check(T: int) -> None:
    if T < 1:
        raise ValueError(f"T must be at least 1, not {T}")

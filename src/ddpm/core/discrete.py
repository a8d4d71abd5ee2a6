"""Forward processes in discrete time: how much signal and noise each level holds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from ddpm.core.level import Level

MAX_BETA = 0.999
"""No step destroys everything, so that every transition can be divided by (Nichol & Dhariwal 2021, sec. 3.2)."""


@dataclass(frozen=True, eq=False)
class Discrete:
    """Levels 0 … T of a variance-preserving process: level 0 is clean, level T the noisiest.

    The published networks count their T noisy levels from zero, so level i is fed to them as t = i - 1.
    Between two noisy levels the angle theta of (alpha, sigma) = (cos theta, sin theta) is interpolated linearly.

    Attributes:
        alpha_bar: (T + 1,) float64, the remaining signal's variance, from exactly 1 down.
    """

    alpha_bar: torch.Tensor

    def __post_init__(self) -> None:
        a = self.alpha_bar
        if a.dtype != torch.float64 or a.ndim != 1 or len(a) < 2:
            raise ValueError("alpha_bar must be a float64 vector of at least two entries")
        if a[0] != 1 or not bool((a.diff() < 0).all()) or a[-1] < 0:
            raise ValueError("alpha_bar must start at 1 and fall strictly, to 0 at the least")

    @property
    def T(self) -> int:
        """Number of noisy levels."""
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
        """The level at timestep 0 or in [1, T], as Python floats; at a whole timestep it is the table's.

        Raises:
            ValueError: outside of these. Nothing lies between the clean level and level 1.
        """
        if not 0 <= timestep <= self.T:
            raise ValueError(f"level {timestep} is outside 0 … {self.T}")
        i = int(timestep)
        if timestep == i:
            return Level(float(i - 1), float(self._alpha[i]), float(self._sigma[i]))
        if i == 0:
            raise ValueError(f"level {timestep} lies between clean and 1, the cleanest that a discrete schedule has")
        theta = float(torch.lerp(self._theta[i], self._theta[i + 1], timestep - i))
        return Level(timestep - 1, math.cos(theta), math.sin(theta))

    def levels(self, timesteps: torch.Tensor) -> Level:
        """The levels at timesteps (B,), float64 tensors (B,) on the CPU, where they stay until multiplied.

        Timesteps between two levels, float64, are rounded up: one uniform in (0, T] is a level uniform in 1 … T.
        """
        i = timesteps.ceil().long()
        return Level((i - 1).double(), self._alpha[i], self._sigma[i])

    def timestep(self, ratio: torch.Tensor, least: float = 1.0) -> torch.Tensor:
        """Timesteps in [least, T] with sigma / alpha = ratio, (n,) float64; ratios beyond the ends get the nearest end.

        Args:
            least: at least 1, as nothing lies between the clean level and level 1.
        """
        theta, knots = torch.atan(ratio), self._theta[1:]
        if self.T == 1:
            return torch.ones_like(theta)
        i = torch.searchsorted(knots, theta).clamp(1, self.T - 1)
        part = (theta - knots[i - 1]) / (knots[i] - knots[i - 1])
        return (i + part).clamp(max(least, 1), self.T)


def from_betas(betas: torch.Tensor) -> Discrete:
    """The schedule whose step i keeps 1 - betas[i - 1] of the variance (Ho et al. 2020, sec. 2).

    Args:
        betas: (T,) float64, each in (0, 1].
    """
    one = torch.ones(1, dtype=torch.float64)
    return Discrete(torch.cat([one, (1 - betas).cumprod(0)]))


def custom(betas: Sequence[float]) -> Discrete:
    """The schedule of any betas, cleanest first (``trained_betas`` of diffusers).

    Raises:
        ValueError: one of them is not between 0 and 1 (the last may be 1, which leaves noise alone), or neighbouring
            levels are the same in float64.
    """
    if not betas:
        raise ValueError("there are no betas; give at least one")
    for i, beta in enumerate(betas, 1):
        if not (0 < beta < 1 or (beta == 1 and i == len(betas))):
            raise ValueError(
                f"beta {i} of {len(betas)} is {beta}; every beta must be above 0 and below 1, but the last may be 1"
            )
    try:
        return from_betas(torch.tensor(betas, dtype=torch.float64))
    except ValueError as e:
        raise ValueError("the betas make levels that float64 cannot tell apart; give larger or fewer ones") from e


def linear(T: int = 1000, start: float = 1e-4, end: float = 0.02) -> Discrete:
    """Evenly rising betas (Ho et al. 2020, sec. 4).

    The two ends are meant for T = 1000; for another T they are scaled by 1000 / T, which leaves as much noise at
    the last level (Nichol & Dhariwal 2021), and held below 0.999.
    """
    _check(T)
    betas = torch.linspace(start, end, T, dtype=torch.float64) * (1000 / T)
    return from_betas(betas.clamp(max=MAX_BETA))


def scaled_linear(T: int = 1000, start: float = 0.00085, end: float = 0.012) -> Discrete:
    """Betas whose square roots rise evenly (Rombach et al. 2022), scaled to T as in :func:`linear`."""
    _check(T)
    betas = torch.linspace(math.sqrt(start), math.sqrt(end), T, dtype=torch.float64) ** 2 * (1000 / T)
    return from_betas(betas.clamp(max=MAX_BETA))


def cosine(T: int = 1000, s: float = 0.008) -> Discrete:
    """``ᾱ(u) = cos²((u + s) / (1 + s) · π / 2)``, betas at most 0.999 (Nichol & Dhariwal 2021, eq. 17)."""
    _check(T)
    u = torch.arange(T + 1, dtype=torch.float64) / T
    return _from_curve(torch.cos((u + s) / (1 + s) * math.pi / 2) ** 2)


def sigmoid(T: int = 1000, start: float = -3.0, end: float = 3.0, tau: float = 1.0) -> Discrete:
    """ᾱ along a stretch of the logistic curve, betas at most 0.999 (Jabri et al. 2023, alg. 1)."""
    _check(T)
    u = torch.arange(T + 1, dtype=torch.float64) / T
    low, high = (torch.sigmoid(torch.tensor(v / tau, dtype=torch.float64)) for v in (start, end))
    return _from_curve((high - torch.sigmoid((u * (end - start) + start) / tau)) / (high - low))


def zero_terminal_snr(schedule: Discrete) -> Discrete:
    """Shift and stretch alpha so that the last level holds no signal (Lin et al. 2023, alg. 1).

    Pictures of any mean brightness can then be reached; eps prediction can not be used, since at the last level
    it says nothing of x0.
    """
    if schedule.T < 2:
        raise ValueError("zero terminal SNR needs two noisy levels, the first of which keeps its signal; T is 1")
    alpha = schedule.alpha_bar.sqrt()
    first, last = alpha[1].clone(), alpha[-1].clone()
    stretched = (alpha[1:] - last) * (first / (first - last))
    return Discrete(torch.cat([alpha[:1], stretched]) ** 2)


def _from_curve(alpha_bar: torch.Tensor) -> Discrete:
    """Read the betas off a curve of ᾱ at T + 1 points."""
    return from_betas((1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=MAX_BETA))


def _check(T: int) -> None:
    if T < 1:
        raise ValueError(f"a schedule needs at least one noisy level, not T = {T}")

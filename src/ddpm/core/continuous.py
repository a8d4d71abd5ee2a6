"""Forward processes in continuous time: a curve of (alpha, sigma) over u in [0, 1], with an exact inverse.

Song et al. 2021 are here the authors of "Score-Based Generative Modeling through Stochastic Differential Equations".
"""

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

import torch

from ddpm.core.level import Level
from ddpm.core.schedule import Schedule

FLOOR = 1e-5
"""The least u of a process that begins clean, where Song et al. 2021 stop: below, x0 is known but for rounding."""

Scales = tuple[torch.Tensor, torch.Tensor]


class Curve(Protocol):
    """A process over u. All tensors are float64, of any one shape."""

    begins_clean: ClassVar[bool]
    """Whether u = 0 is the image itself, and not the least noise."""

    def scales(self, u: torch.Tensor) -> Scales:
        """(alpha, sigma) at u."""
        ...

    def t(self, u: torch.Tensor) -> torch.Tensor:
        """The number that the network is fed at u."""
        ...

    def u(self, ratio: torch.Tensor) -> torch.Tensor:
        """Where sigma / alpha is such a ratio, 0 to infinity; anything beyond the ends for one that is nowhere."""
        ...


@dataclass(frozen=True, slots=True)
class Continuous:
    """A curve as a schedule: exact at any timestep.

    T says how finely the axis is ruled, for grids to choose ticks from and for the bound to count; the process itself
    has none. A timestep is u on that scale: of a curve that begins clean ``u = timestep / T``, held above ``FLOOR``; of
    another tick 1 is the least noise and tick T the most, ``u = 1 - (T - timestep) / (T - 1)``, held above 0.
    Timestep 0 is clean in any case, with the t of the one above it.

    Attributes:
        curve: the process.
        T: noisy ticks, at least 1.
    """

    curve: Curve
    T: int = 1000

    def __post_init__(self) -> None:
        if self.T < 1:
            raise ValueError(f"a schedule needs at least one noisy level, not T = {self.T}")

    def level(self, timestep: float) -> Level:
        """The level at a timestep in [0, T], as Python floats.

        Raises:
            ValueError: outside.
        """
        if not 0 <= timestep <= self.T:
            raise ValueError(f"level {timestep} is outside 0 … {self.T}")
        one = self.levels(torch.tensor([timestep], dtype=torch.float64))
        return Level(float(one.t), float(one.alpha), float(one.sigma))

    def levels(self, timesteps: torch.Tensor) -> Level:
        """The levels at timesteps (B,) in [0, T]: float64 tensors (B,) on the CPU."""
        timesteps = timesteps.double()
        if self.curve.begins_clean:
            u = (timesteps / self.T).clamp(min=min(FLOOR, 1 / self.T))
        else:
            u = (1 - (self.T - timesteps) / max(self.T - 1, 1)).clamp(min=0)
        alpha, sigma = self.curve.scales(u)
        clean = timesteps == 0
        return Level(self.curve.t(u), alpha.masked_fill(clean, 1.0), sigma.masked_fill(clean, 0.0))

    def timestep(self, ratio: torch.Tensor, least: float = 1.0) -> torch.Tensor:
        """Timesteps in [least, T] with sigma / alpha = ratio, (n,) float64; ratios beyond the ends get the nearest end.

        Args:
            least: below 1 the processes that begin clean go on down to ``FLOOR``.
        """
        return self._place(self.curve.u(ratio).clamp(0, 1)).clamp(least, self.T)

    def place_at(self, u: float) -> float:
        """Where u, from ``FLOOR`` to 1, is on the scale of timesteps."""
        return float(self._place(torch.tensor(u, dtype=torch.float64)))

    def _place(self, u: torch.Tensor) -> torch.Tensor:
        return self.T * u if self.curve.begins_clean else 1 + (self.T - 1) * u


@dataclass(frozen=True, slots=True)
class LinearBeta:
    """``beta(u) = start + u · (end - start)``, the rate at which variance is replaced (Song et al. 2021, app. C)."""

    start: float = 0.1
    end: float = 20.0

    def integral(self, u: torch.Tensor) -> torch.Tensor:
        """``∫₀ᵘ beta = u · start + u² · (end - start) / 2``."""
        return u * (self.start + u * (self.end - self.start) / 2)

    def inverse(self, integral: torch.Tensor) -> torch.Tensor:
        """u of an integral; as far as the end of one beyond it."""
        total = integral.clamp(max=(self.start + self.end) / 2)
        # the root of the quadratic in the form that does not cancel
        return 2 * total / (self.start + (self.start**2 + 2 * (self.end - self.start) * total).sqrt())


@dataclass(frozen=True, slots=True)
class VP:
    """``alpha = exp(-½ ∫ beta)``, ``sigma² = 1 - alpha²``: variance preserving (Song et al. 2021, eq. 32 and 33)."""

    begins_clean: ClassVar[bool] = True
    beta: LinearBeta = LinearBeta()

    def scales(self, u: torch.Tensor) -> Scales:
        integral = self.beta.integral(u)
        return (-integral / 2).exp(), (-torch.expm1(-integral)).sqrt()

    def t(self, u: torch.Tensor) -> torch.Tensor:
        return 999 * u

    def u(self, ratio: torch.Tensor) -> torch.Tensor:
        # ratio² = 1 / alpha² - 1
        return self.beta.inverse(torch.log1p(ratio.square()))


@dataclass(frozen=True, slots=True)
class SubVP:
    """``alpha = exp(-½ ∫ beta)``, ``sigma = 1 - alpha²``: less noise than VP's (Song et al. 2021, eq. 34)."""

    begins_clean: ClassVar[bool] = True
    beta: LinearBeta = LinearBeta()

    def scales(self, u: torch.Tensor) -> Scales:
        integral = self.beta.integral(u)
        return (-integral / 2).exp(), -torch.expm1(-integral)

    def t(self, u: torch.Tensor) -> torch.Tensor:
        return 999 * u

    def u(self, ratio: torch.Tensor) -> torch.Tensor:
        # ratio = 1 / alpha - alpha = 2 sinh(½ ∫ beta)
        return self.beta.inverse(2 * torch.asinh(ratio / 2))


@dataclass(frozen=True, slots=True)
class VE:
    """``sigma = sigma_min · (sigma_max / sigma_min)^u`` upon the whole image: variance exploding.

    Song et al. 2021, eq. 30 and 31.
    """

    begins_clean: ClassVar[bool] = False
    sigma_min: float = 0.01
    sigma_max: float = 50.0

    def __post_init__(self) -> None:
        _check_rise(self.sigma_min, self.sigma_max)

    def scales(self, u: torch.Tensor) -> Scales:
        return torch.ones_like(u), self.sigma_min * (u * math.log(self.sigma_max / self.sigma_min)).exp()

    def t(self, u: torch.Tensor) -> torch.Tensor:
        return 999 * u

    def u(self, ratio: torch.Tensor) -> torch.Tensor:
        return (ratio / self.sigma_min).log() / math.log(self.sigma_max / self.sigma_min)


@dataclass(frozen=True, slots=True)
class EDMProcess:
    """``sigma^(1/rho)`` evenly from sigma_min to sigma_max, upon the whole image (Karras et al. 2022, eq. 5).

    The network is fed ``ln(sigma) / 4`` (table 1, c_noise).
    """

    begins_clean: ClassVar[bool] = False
    sigma_min: float = 0.002
    sigma_max: float = 80.0
    rho: float = 7.0

    def __post_init__(self) -> None:
        _check_rise(self.sigma_min, self.sigma_max)

    def scales(self, u: torch.Tensor) -> Scales:
        low, high = self._ends
        return torch.ones_like(u), (low + u * (high - low)) ** self.rho

    def t(self, u: torch.Tensor) -> torch.Tensor:
        _, sigma = self.scales(u)
        return sigma.log() / 4

    def u(self, ratio: torch.Tensor) -> torch.Tensor:
        low, high = self._ends
        return (ratio ** (1 / self.rho) - low) / (high - low)

    @property
    def _ends(self) -> tuple[float, float]:
        return self.sigma_min ** (1 / self.rho), self.sigma_max ** (1 / self.rho)


@dataclass(frozen=True, slots=True)
class Flow:
    """``alpha = 1 - u``, ``sigma = u``: straight from the image to the noise (rectified flow, Liu et al. 2022)."""

    begins_clean: ClassVar[bool] = True

    def scales(self, u: torch.Tensor) -> Scales:
        return 1 - u, u

    def t(self, u: torch.Tensor) -> torch.Tensor:
        return 1000 * u

    def u(self, ratio: torch.Tensor) -> torch.Tensor:
        return 1 / (1 + 1 / ratio)


def up_to(schedule: Schedule, sigma_max: float) -> Continuous:
    """VE's or EDM's process with another most noise: sigma / alpha of the noisiest level.

    Raises:
        ValueError: another process, whose noise is bounded, or a sigma_max that is not above its least noise.
    """
    if not isinstance(schedule, Continuous) or not isinstance(schedule.curve, VE | EDMProcess):
        raise ValueError("only VE and EDM have a sigma_max")
    return replace(schedule, curve=replace(schedule.curve, sigma_max=sigma_max))


def _check_rise(sigma_min: float, sigma_max: float) -> None:
    if not sigma_min > 0:
        raise ValueError(f"sigma_min must be above 0, not {sigma_min}")
    if not sigma_min < sigma_max < math.inf:
        raise ValueError(f"sigma_max must be finite and above the least noise, {sigma_min:g}, not {sigma_max}")

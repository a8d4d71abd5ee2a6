"""Forward processes in continuous time: a curve of (alpha, sigma) over u in [0, 1], with an exact inverse.

Song et al. 2021 refers to "Score-Based Generative Modeling through Stochastic Differential Equations".
"""

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

import torch

from ddpm.core.level import Level
from ddpm.core.schedule import Schedule

FLOOR = 1e-5
"""The least u of a process that begins clean, as in Song et al. 2021: below it, x0 is known up to rounding."""

Scales = tuple[torch.Tensor, torch.Tensor]


class Curve(Protocol):
    """A process over u. All tensors are float64 and of the same, arbitrary shape."""

    begins_clean: ClassVar[bool]
    """Whether u = 0 is the image itself rather than the least noise."""

    def scales(self, u: torch.Tensor) -> Scales:
        """(alpha, sigma) at u."""
        ...

    def t(self, u: torch.Tensor) -> torch.Tensor:
        """The time that is fed to the network at u."""
        ...

    def u(self, ratio: torch.Tensor) -> torch.Tensor:
        """The u at which sigma / alpha equals a ratio from 0 to infinity; outside [0, 1] if there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Continuous:
    """A schedule that follows a curve exactly, at any timestep.

    T is the number of ticks on the axis, used by grids and the bound; the process itself has none. A timestep is u on
    that scale: for a curve that begins clean, ``u = timestep / T``, at least ``FLOOR``; otherwise tick 1 is the least
    noise and tick T the most, ``u = 1 - (T - timestep) / (T - 1)``, at least 0. Timestep 0 is always clean, with the t
    of the lowest u.

    Attributes:
        curve: The process.
        T: The number of noisy ticks, at least 1.
    """

    curve: Curve
    T: int = 1000

    def __post_init__(self) -> None:
        if self.T < 1:
            raise ValueError(f"T must be at least 1, not {self.T}")

    def level(self, timestep: float) -> Level:
        """The level at a timestep in [0, T], as Python floats.

        Raises:
            ValueError: if the timestep is outside that range.
        """
        if not 0 <= timestep <= self.T:
            raise ValueError(f"timestep {timestep} is outside 0 … {self.T}")
        one = self.levels(torch.tensor([timestep], dtype=torch.float64))
        return Level(float(one.t), float(one.alpha), float(one.sigma))

    def levels(self, timesteps: torch.Tensor) -> Level:
        """The levels at timesteps (B,) in [0, T], as float64 tensors (B,) on the CPU."""
        timesteps = timesteps.double()
        if self.curve.begins_clean:
            u = (timesteps / self.T).clamp(min=min(FLOOR, 1 / self.T))
        else:
            u = (1 - (self.T - timesteps) / max(self.T - 1, 1)).clamp(min=0)
        alpha, sigma = self.curve.scales(u)
        clean = timesteps == 0
        return Level(self.curve.t(u), alpha.masked_fill(clean, 1.0), sigma.masked_fill(clean, 0.0))

    def timestep(self, ratio: torch.Tensor, least: float = 1.0) -> torch.Tensor:
        """The timesteps in [least, T] with sigma / alpha = ratio, (n,) float64; ratios beyond the ends are clamped.

        Args:
            least: The least timestep to return; processes that begin clean have levels below 1, down to ``FLOOR``.
        """
        return self._timestep(self.curve.u(ratio).clamp(0, 1)).clamp(least, self.T)

    def timestep_at(self, u: float) -> float:
        """The timestep of u, from ``FLOOR`` to 1."""
        return float(self._timestep(torch.tensor(u, dtype=torch.float64)))

    def _timestep(self, u: torch.Tensor) -> torch.Tensor:
        return self.T * u if self.curve.begins_clean else 1 + (self.T - 1) * u


@dataclass(frozen=True, slots=True)
class LinearBeta:
    """``beta(u) = start + u · (end - start)``, the noise rate (Song et al. 2021, app. C)."""

    start: float = 0.1
    end: float = 20.0

    def integral(self, u: torch.Tensor) -> torch.Tensor:
        """``∫₀ᵘ beta = u · start + u² · (end - start) / 2``."""
        return u * (self.start + u * (self.end - self.start) / 2)

    def inverse(self, integral: torch.Tensor) -> torch.Tensor:
        """The u with this integral, at most 1."""
        total = integral.clamp(max=(self.start + self.end) / 2)
        # the root of the quadratic in the form without cancellation
        return 2 * total / (self.start + (self.start**2 + 2 * (self.end - self.start) * total).sqrt())


@dataclass(frozen=True, slots=True)
class VP:
    """The variance-preserving SDE, ``alpha = exp(-½ ∫ beta)``, ``sigma² = 1 - alpha²``.

    Song et al. 2021, eq. 32 and 33.
    """

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
    """The sub-VP SDE, ``alpha = exp(-½ ∫ beta)``, ``sigma = 1 - alpha²``, with less noise than VP.

    Song et al. 2021, eq. 34.
    """

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
    """The variance-exploding SDE, ``alpha = 1``, ``sigma = sigma_min · (sigma_max / sigma_min)^u``.

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
    """EDM's process: ``alpha = 1``, ``sigma^(1/rho)`` linear from sigma_min to sigma_max (Karras et al. 2022, eq. 5).

    The network takes ``ln(sigma) / 4`` (table 1, c_noise).
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
    """Rectified flow, ``alpha = 1 - u``, ``sigma = u``: a straight line from image to noise (Liu et al. 2022)."""

    begins_clean: ClassVar[bool] = True

    def scales(self, u: torch.Tensor) -> Scales:
        return 1 - u, u

    def t(self, u: torch.Tensor) -> torch.Tensor:
        return 1000 * u

    def u(self, ratio: torch.Tensor) -> torch.Tensor:
        return 1 / (1 + 1 / ratio)


def up_to(schedule: Schedule, sigma_max: float) -> Continuous:
    """A VE or EDM process with another sigma_max, sigma / alpha at the noisiest level.

    Raises:
        ValueError: if the process is another one, or sigma_max is not above its least noise.
    """
    if not isinstance(schedule, Continuous) or not isinstance(schedule.curve, VE | EDMProcess):
        raise ValueError("sigma_max is an option of the ve and edm schedules only; leave it out")
    return replace(schedule, curve=replace(schedule.curve, sigma_max=sigma_max))


def _check_rise(sigma_min: float, sigma_max: float) -> None:
    if not sigma_min > 0:
        raise ValueError(f"sigma_min must be above 0, not {sigma_min}")
    if not sigma_min < sigma_max < math.inf:
        raise ValueError(f"sigma_max must be finite and above the least noise, {sigma_min:g}, not {sigma_max}")

"""Guidance at middling noise only."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ddpm.core import Cond, Denoised, Denoiser, Level


@dataclass(frozen=True, slots=True)
class GuidanceInterval:
    """One denoiser within an interval of noise, another outside (Kynkäänniemi et al. 2024).

    Guidance does harm at high noise, where it takes variety, and is idle at low noise; so the plain denoiser answers
    there, with half of the network's work. For levels of floats, as in sampling.

    Attributes:
        inside: the guided denoiser, where ``low <= sigma / alpha <= high``.
        outside: the plain one.
        low, high: noise-to-signal ratios, which is what EDM calls sigma.
    """

    inside: Denoiser
    outside: Denoiser
    low: float
    high: float

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        return (self.inside if _lies_within(level, self.low, self.high) else self.outside)(x, level, cond)


@dataclass(frozen=True, slots=True)
class Within:
    """A direction within an interval of noise, none outside: what :class:`GuidanceInterval` is to denoisers.

    Attributes:
        direction: (x, level) -> (B, C, *space) like x.
        low, high: noise-to-signal ratios.
    """

    direction: Callable[[torch.Tensor, Level], torch.Tensor]
    low: float
    high: float

    def __call__(self, x: torch.Tensor, level: Level) -> torch.Tensor:
        return self.direction(x, level) if _lies_within(level, self.low, self.high) else torch.zeros_like(x)


def _lies_within(level: Level, low: float, high: float) -> bool:
    # no quotient, as alpha may be 0 at the noisiest level
    return bool(low * level.alpha <= level.sigma <= high * level.alpha)

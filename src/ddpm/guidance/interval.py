"""Guidance at middling noise only."""

from dataclasses import dataclass

import torch

from ddpm.core import Cond, Denoised, Denoiser, Level


@dataclass(frozen=True, slots=True)
class Interval:
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
        # no quotient, as alpha may be 0 at the noisiest level
        within = self.low * level.alpha <= level.sigma <= self.high * level.alpha
        return (self.inside if within else self.outside)(x, level, cond)

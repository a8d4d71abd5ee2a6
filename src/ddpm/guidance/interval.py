"""Guidance limited to an interval of noise."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ddpm.core import Cond, Denoised, Denoiser, Level
from ddpm.core.level import per_image


@dataclass(frozen=True, slots=True)
class GuidanceInterval:
    """One denoiser within an interval of noise, another outside (Kynkäänniemi et al. 2024).

    Guidance does harm at high noise, where it reduces diversity, and has little effect at low noise; so the plain
    denoiser is used there, at half the cost. Where images of a batch are at levels of both kinds, both denoisers are
    called, and each image gets the answer that it would get alone.

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
        within = lies_within(level, self.low, self.high)
        if within.all() or not within.any():
            return (self.inside if within.all() else self.outside)(x, level, cond)
        inside, outside = self.inside(x, level, cond), self.outside(x, level, cond)
        var_mix = inside.var_mix
        if var_mix is not None and outside.var_mix is not None:
            var_mix = _choose(within, var_mix, outside.var_mix)
        return Denoised(_choose(within, inside.x0, outside.x0), var_mix)


@dataclass(frozen=True, slots=True)
class Within:
    """A direction within an interval of noise, 0 outside: :class:`GuidanceInterval` for directions.

    Attributes:
        direction: (x, level) -> (B, C, *space) like x.
        low, high: noise-to-signal ratios.
    """

    direction: Callable[[torch.Tensor, Level], torch.Tensor]
    low: float
    high: float

    def __call__(self, x: torch.Tensor, level: Level) -> torch.Tensor:
        within = lies_within(level, self.low, self.high)
        nowhere = torch.zeros_like(x)
        return _choose(within, self.direction(x, level), nowhere) if within.any() else nowhere


def lies_within(level: Level, low: float, high: float) -> torch.Tensor:
    """Whether a level is within an interval: bool, of shape () for a level of floats and (B,) for one of tensors."""
    alpha, sigma = torch.as_tensor(level.alpha), torch.as_tensor(level.sigma)
    # without a quotient, as alpha may be 0 at the noisiest level
    return (low * alpha <= sigma) & (sigma <= high * alpha)


def _choose(mask: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """a where the mask, () or (B,), is true of an image, and b elsewhere; both (B, C, *space)."""
    return torch.where(per_image(mask.to(a.device), a), a, b)

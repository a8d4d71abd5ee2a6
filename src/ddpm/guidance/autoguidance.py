"""Guidance of a network by a weaker one."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ddpm.core import Cond, Denoised, Denoiser, Level
from ddpm.core.condition import Conditions
from ddpm.guidance.rule import Rule, extrapolate


@dataclass(frozen=True, slots=True)
class Autoguidance:
    """Push away from the answer of a weaker denoiser of the same images (Karras et al. 2024).

    ``x0 = x0_weak + scale · (x0_good - x0_weak)``, for the same condition or none. Both make similar errors, the weak
    one larger ones, so that guidance pushes away from the errors and keeps diversity. Each is called once.

    Attributes:
        denoise: the good denoiser, whose mix of variances is kept.
        weak: a denoiser of the same kind with less training; see :class:`ByItself`.
        scale: guidance scale; 1 for the good denoiser alone.
        rule: how to combine the two answers; the equation's by default.
    """

    denoise: Denoiser
    weak: Denoiser
    scale: float
    rule: Rule = extrapolate

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        good = self.denoise(x, level, cond)
        return good._replace(x0=self.rule(good.x0, self.weak(x, level, cond).x0, self.scale))


@dataclass(frozen=True, slots=True)
class ByItself:
    """A denoiser that encodes raw conditions by its own model, ignoring the encoded condition it is given.

    Attributes:
        encode: raw conditions of n images -> Cond, of the denoiser's own model.
    """

    denoise: Denoiser
    encode: Callable[[Conditions, int], Cond | None]

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        own = cond if cond is None or cond.raw is None else self.encode(cond.raw, len(x))
        if own is not None and cond is not None and cond.towards is not None:
            raw, share = cond.towards
            last = self.encode(raw, len(x))
            assert last is not None
            own = own.lerp(last, share)
        return self.denoise(x, level, own)

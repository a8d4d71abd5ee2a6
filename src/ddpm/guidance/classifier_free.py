"""Classifier-free guidance."""

from dataclasses import dataclass

import torch

from ddpm.core import Cond, Denoised, Denoiser, Level, Scalar
from ddpm.guidance.rule import Rule, extrapolate


@dataclass(frozen=True, slots=True)
class ClassifierFree:
    """Push away from the unconditional answer (Ho & Salimans 2022, eq. 6, in x0).

    ``x0 = x0_null + scale · (x0_cond - x0_null)``: 0 ignores the condition, 1 follows it, more exaggerates it.
    Both answers come from one call on 2B images.

    Attributes:
        denoise: the conditional denoiser.
        null: the null condition, one row; an image of the condition is kept in it.
        scale: guidance scale, or one for each image.
        rule: how to combine the two answers; the equation's by default.
    """

    denoise: Denoiser
    null: Cond
    scale: Scalar
    rule: Rule = extrapolate

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        if cond is None:
            raise ValueError("guidance needs a condition to guide towards")
        null = self.null.instead_of(cond)
        twice = level.rows(torch.arange(2 * len(x)) % len(x))
        both = self.denoise(torch.cat([x, x]), twice, cond.cat(null))
        x0, x0_null = both.x0.chunk(2)
        guided = self.rule(x0, x0_null, self.scale)
        return Denoised(guided, None if both.var_mix is None else both.var_mix[: len(x)])

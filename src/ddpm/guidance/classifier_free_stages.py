"""Classifier-free guidance with a scale for each of several conditions."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise

import torch

from ddpm.core import Cond, Denoised, Denoiser, Level
from ddpm.guidance.rule import Rule, extrapolate

Weaken = Callable[[Cond], Cond]
"""From the conditions of a batch to weaker ones of the same images, such as without their prompts."""


@dataclass(frozen=True, slots=True)
class ClassifierFreeStages:
    """Guide from the weakest condition to the full one in stages (Brooks et al. 2023, eq. 3; Liu et al. 2022).

    ``x0 = x0_0 + s_1 · (x0_1 - x0_0) + … + s_n · (x0_n - x0_{n-1})``, where x0_n is the answer to the full condition.
    With equal scales this is :class:`ClassifierFree`, and a stage of scale 1 is skipped. All answers come from one call
    on (n + 1) · B images.

    Attributes:
        denoise: the conditional denoiser.
        weaker: the conditions of x0_0 … x0_{n-1}; an image of the full condition is kept in them.
        scales: s_1 … s_n.
        rule: how to combine x0_n and a mix of the others, from which extrapolating is the equation.
    """

    denoise: Denoiser
    weaker: tuple[Weaken, ...]
    scales: tuple[float, ...]
    rule: Rule = extrapolate

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        if cond is None:
            raise ValueError("guidance needs a condition to guide towards")
        n = 1 + len(self.weaker)
        conds = reduce(Cond.cat, (weaken(cond).instead_of(cond) for weaken in self.weaker), cond)
        every = self.denoise(torch.cat([x] * n), level.rows(torch.arange(n * len(x)) % len(x)), conds)
        x0, *weaker = every.x0.chunk(n)
        largest, mix = _mixed(self.scales)
        weak = reduce(torch.add, (share * answer for share, answer in zip(mix, (*weaker, x0), strict=True)))
        guided = self.rule(x0, weak, largest)
        return Denoised(guided, None if every.var_mix is None else every.var_mix[: len(x)])


def _mixed(scales: tuple[float, ...]) -> tuple[float, list[float]]:
    """The scale s that is furthest from 1, and the shares of x0_0 … x0_n in the mix to guide away from with it.

    The mix is ``x0_n - sum_i w_i · (x0_i - x0_{i-1})`` with ``w_i = (s_i - 1) / (s - 1)``, so that x0_i has the share
    ``w_{i+1} - w_i``, where w_0 = 0 and w_{n+1} = 1.
    """
    largest = max(scales, key=lambda scale: abs(scale - 1))
    w = [0.0, *((scale - 1) / (largest - 1) if largest != 1 else 0.0 for scale in scales), 1.0]
    return largest, [after - before for before, after in pairwise(w)]

"""Observations imposed on the noisy image."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ddpm.constraints.operator import Operator
from ddpm.core import Level


@dataclass(frozen=True, slots=True, eq=False)
class Replacement:
    """A constraint that replaces the part of x_t that y = A x0 determines by y with fresh noise, at each level.

        x_t' = (I - A⁺ A) x_t + alpha A⁺ y + sigma A⁺ A z,    z ~ N(0, I)

    A constraint of the sampling loop. For a mask it is Song et al. 2021 (app. I.2), and on a grid that rises again
    RePaint (Lugmayr et al. 2022, eq. 8); ILVR (Choi et al. 2021, alg. 1) has a low-pass filter there. At the clean
    level ``A x0' = y``, under a mask bit for bit.

    Attributes:
        y: the observation, of the shape of ``operator.forward(x0)``, or with a batch of 1; without noise of its own.
    """

    operator: Operator
    y: torch.Tensor

    def __call__(self, x: torch.Tensor, level: Level, randn: Callable[[], torch.Tensor]) -> torch.Tensor:
        """x (B, C, *space) at a level of floats."""
        known = level.alpha * self.operator.pinv(self.y)
        if not level.clean:
            known = known + level.sigma * self._seen(randn())
        return x - self._seen(x) + known

    def _seen(self, x: torch.Tensor) -> torch.Tensor:
        return self.operator.pinv(self.operator.forward(x))

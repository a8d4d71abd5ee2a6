"""Composition of two observations."""

from dataclasses import dataclass

import torch

from ddpm.constraints.operator import Operator, Tight
from ddpm.core.level import Scalar


@dataclass(frozen=True, slots=True)
class Composed:
    """``A = outer · inner``, such as a mask of a small image: any operator after averages or greys.

    In general ``(A B)⁺`` is not ``B⁺ A⁺``. It is where ``B Bᵀ = c I``, and with a ridge

        Bᵀ Aᵀ (c A Aᵀ + ridge I)⁻¹ = B⁺ Aᵀ (A Aᵀ + ridge / c · I)⁻¹.

    Attributes:
        outer: the operator applied last.
        inner: the operator applied first, of one singular value: ``AveragePool`` or ``Grey``.
    """

    outer: Operator
    inner: Tight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.outer.forward(self.inner.forward(x))

    def pinv(self, y: torch.Tensor, ridge: Scalar = 0.0) -> torch.Tensor:
        return self.inner.pinv(self.outer.pinv(y, ridge / self.inner.frame(y.ndim - 2)))

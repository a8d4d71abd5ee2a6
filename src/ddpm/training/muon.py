"""Muon, an optimiser for the matrices of layers (Jordan et al. 2024)."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from ddpm.training.sharding import divided, whole

MOMENTUM = 0.95
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ROUNDS = 5
"""The quintic ``φ(s) = a s + b s³ + c s⁵``, iterated this often, takes singular values from 0.01 … 1 to 0.7 … 1.2."""
RMS = 0.2
"""The root mean square of an update at rate 1, about that of Adam's, so that both share a learning rate (Liu et al.
2025, sec. 2.2)."""


def orthogonalised(matrix: torch.Tensor) -> torch.Tensor:
    """Replace the singular values of a matrix (n, m) by about 1, so ``U S Vᵀ -> U Vᵀ``, by Newton-Schulz iterations."""
    a, b, c = COEFFICIENTS
    n, m = matrix.shape
    x = matrix.T if n > m else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(ROUNDS):
        square = x @ x.T
        x = a * x + (b * square + c * (square @ square)) @ x
    out: torch.Tensor = x.T if n > m else x
    return out


class Muon(torch.optim.Optimizer):
    """Orthogonalised momentum for matrices, AdamW for all other weights.

    For a matrix (n, m), ``W ← W - lr · 0.2 √max(n, m) · orthogonalised(g + μ (v - g))``, where v is the average of the
    gradients g with decay μ = 0.95. A convolution's weight (out, in, *kernel) is the matrix (out, in · kernel).

    Args:
        hidden: the matrices: weights of layers, with two or more axes.
        others: all other weights.
        lr: the learning rate of both.
        dtype: the precision of the orthogonalisation, for which bfloat16 is enough.
        fused: whether AdamW is one kernel, which not every device has.
    """

    def __init__(
        self,
        hidden: Iterable[nn.Parameter],
        others: Iterable[nn.Parameter],
        *,
        lr: float,
        betas: tuple[float, float],
        weight_decay: float,
        dtype: torch.dtype,
        fused: bool,
    ) -> None:
        super().__init__([{"params": list(hidden)}], {"lr": lr, "weight_decay": weight_decay})
        self.dtype = dtype
        self._adamw = torch.optim.AdamW(list(others), lr, betas, weight_decay=weight_decay, fused=fused)
        self.param_groups += self._adamw.param_groups

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        assert closure is None
        group = self.param_groups[0]
        for p in group["params"]:
            if p.grad is None:
                continue
            state = self.state[p]
            if not state:
                state["exp_avg"] = torch.zeros_like(p)
            average = state["exp_avg"].lerp_(p.grad, 1 - MOMENTUM)
            # a matrix that is divided among processes is orthogonalised by all of them
            step = whole(p.grad.lerp(average, MOMENTUM)).flatten(1)
            update = orthogonalised(step.to(self.dtype)).to(p.dtype).reshape(p.shape)
            p.mul_(1 - group["lr"] * group["weight_decay"])
            p.sub_(divided(update, p), alpha=group["lr"] * RMS * max(step.shape) ** 0.5)
        # this optimiser's own state and groups, which loading replaces
        self._adamw.state, self._adamw.param_groups = self.state, self.param_groups[1:]
        self._adamw.step()

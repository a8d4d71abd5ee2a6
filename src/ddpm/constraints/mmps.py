"""Observations that update the whole expected image (MMPS)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ddpm.constraints.operator import Operator
from ddpm.core import Cond, Denoised, Denoiser, Level
from ddpm.core.gaussian import x0_variance
from ddpm.core.level import Scalar, per_image, scale

FAINT = 1e-3
"""The least alpha / sigma."""

Spread = Callable[[torch.Tensor, bool], torch.Tensor]
"""(p, whether it is the last) -> ``V p / r²``, (B, C, *space)."""


@dataclass(frozen=True, slots=True, eq=False)
class MMPS:
    """The expected image given x_t and y, with the denoiser's own covariance (Rozet et al. 2024, sec. 4.2).

    By Tweedie's second moment the covariance of x0 given x_t is ``V = (sigma² / alpha) ∂x0 / ∂x_t``. If x0 is Gaussian
    then, ``y = A x0 + noise · n`` moves its mean to

        x0' = x0 + V Aᵀ (A V Aᵀ + noise² I)⁻¹ (y - A x0)

    which is exact for Gaussian data. The inverse is by conjugate gradients, in which each product with V is a gradient
    through the denoiser, about as long as a call. A network's V is neither quite symmetric nor positive, so no step is
    so long that more of y would be left than before. They are preconditioned with ``V = r² I``,
    ``r² = d² sigma² / (d² alpha² + sigma²)``, so for data ~ N(., d² I) one is exact; a step of that fixed length is
    ΠGDM (Song et al. 2023).

    It belongs outside of guidance and windows, and inside of clipping, which has no gradient where it clips. Without
    noise, :class:`DDNM` around both adds what is left of y.

    Attributes:
        denoise: a denoiser that gradients go through.
        y: the observation, of the shape of ``operator.forward(x0)``, or with a batch of 1.
        noise: standard deviation of y's own noise.
        sigma_data: d, the standard deviation of the data; of no effect without noise.
        iterations: of conjugate gradients.
    """

    denoise: Denoiser
    operator: Operator
    y: torch.Tensor
    noise: float = 0.0
    sigma_data: float = 0.5
    iterations: int = 2

    def __post_init__(self) -> None:
        if self.noise < 0:
            raise ValueError(f"noise must be at least 0, not {self.noise}")
        if not self.sigma_data > 0:
            raise ValueError(f"sigma_data must be above 0, not {self.sigma_data}")
        if self.iterations < 1:
            raise ValueError(f"iterations must be at least 1, not {self.iterations}")

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        """Denoise x (B, C, *space). Where noise all but hides the image, V is unreliable and x0 is left unchanged."""
        alpha, sigma = level.alpha, level.sigma
        faint = torch.as_tensor(alpha < FAINT * sigma)  # (), or (B,) of levels that are each image's own
        if faint.all() or level.clean:
            return self.denoise(x, level, cond)
        r2 = x0_variance(level, self.sigma_data)
        with torch.inference_mode(False), torch.enable_grad():
            x = x.detach().clone().requires_grad_()
            out = self.denoise(x, level, cond)

        def spread(p: torch.Tensor, last: bool) -> torch.Tensor:
            # half precision has room around 1
            size = p.abs().amax(list(range(1, p.ndim)), keepdim=True).clamp(min=torch.finfo(p.dtype).tiny)
            (gradient,) = torch.autograd.grad(out.x0, x, p / size, retain_graph=not last)
            return scale(sigma**2 / (alpha * r2), size * gradient)

        x0 = self._posterior_mean(out.x0.detach(), spread, self.noise**2 / r2)
        x0 = torch.where(per_image(faint.to(x0.device), x), out.x0.detach(), x0)
        return Denoised(x0, None if out.var_mix is None else out.var_mix.detach())

    def _posterior_mean(self, x0: torch.Tensor, spread: Spread, ridge: Scalar) -> torch.Tensor:
        """x0', for which ``(ridge (AᵀA)⁺ + P V P / r²) w = A⁺ (y - A x0)`` is solved, with ``P = A⁺A``."""
        left = self.operator.pinv(self.y) - self._seen(x0)
        # preconditioned: p = (ridge (AᵀA)⁺ + P)⁻¹ s, so ridge (AᵀA)⁺ p = s - p
        s, p = left, self._seen(left, ridge)
        size = _dot(left, p)
        for k in range(self.iterations):
            moved = spread(p, k + 1 == self.iterations)
            takes = s - p + self._seen(moved)
            shows = self._seen(takes, ridge)
            # the step that leaves least; from twice its length on more is left than before
            least = _ratio(_dot(left, shows), _dot(takes, shows))
            length = torch.minimum(_ratio(size, _dot(p, takes)), 2 * least).clamp(min=0)
            x0, left = x0 + length * moved, left - length * takes
            q = self._seen(left, ridge)
            size, before = _dot(left, q), size
            share = _ratio(size, before)
            s, p = left + share * s, q + share * p
        return x0

    def _seen(self, x: torch.Tensor, ridge: Scalar = 0.0) -> torch.Tensor:
        return self.operator.pinv(self.operator.forward(x), ridge)


def _dot(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Of each image of a batch, (B, 1, …)."""
    return per_image((a * b).flatten(1).sum(1), a)


def _ratio(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """``a / b``, and 0 where b is not above 0."""
    return torch.where(b > 0, a / b, 0)

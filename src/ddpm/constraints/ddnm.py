"""Observations imposed on the expected image (DDNM)."""

from dataclasses import dataclass

import torch

from ddpm.constraints.operator import Operator
from ddpm.core import Cond, Denoised, Denoiser, Level
from ddpm.core.gaussian import x0_variance
from ddpm.core.level import Scalar

ROUNDS, LAST_ROUNDS = 8, 64
"""The number of rounds of clipping and projecting in each step, and of the final x, which needs no network."""


@dataclass(frozen=True, slots=True, eq=False)
class DDNM:
    """A denoiser whose x0 takes the part that y = A x0 determines from y (Wang et al. 2023, eq. 13).

        x0' = A⁺ y + (I - A⁺ A) x0

    It must be applied after clipping and guidance: only then is ``A x0' = y``. Under a mask the known values are y's,
    bit for bit. With noise, ``y = A x0 + noise · n``, the ridge ``(noise / r)²`` makes of it the mean of x0 given both,
    if x0 given x_t is ``N(., r² I)``:

        x0' = x0 + Aᵀ (A Aᵀ + (noise / r)² I)⁻¹ (y - A x0),    r² = d² sigma² / (d² alpha² + sigma²)

    which is exact for data ~ N(., d² I). Where sigma is small it leaves x0 alone, so y's noise is not copied. DDNM+
    (eq. 17 to 19 there) scales by what an ancestral step's own noise can hide, which binds it to one solver.

    Attributes:
        y: the observation, of the shape of ``operator.forward(x0)``, or with a batch of 1.
        noise: standard deviation of y's own noise.
        sigma_data: d, the standard deviation of the data; of no effect without noise.
        rounds: how often x0' is clipped to [-1, 1] and made to agree with y again. Each nears an image that does both,
            where there is one (von Neumann's alternating projections); a clipped x0' alone would not agree. Not with
            noise, of which each round would take more for the image.
    """

    denoise: Denoiser
    operator: Operator
    y: torch.Tensor
    noise: float = 0.0
    sigma_data: float = 0.5
    rounds: int = 0

    def __post_init__(self) -> None:
        if self.noise < 0:
            raise ValueError(f"noise must be at least 0, not {self.noise}")
        if not self.sigma_data > 0:
            raise ValueError(f"sigma_data must be above 0, not {self.sigma_data}")
        if self.rounds < 0 or (self.rounds and self.noise):
            raise ValueError(f"rounds must be at least 0, and 0 with noise, not {self.rounds}")

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        out = self.denoise(x, level, cond)
        ridge: Scalar = 0.0
        if self.noise:
            if level.clean:
                return out  # no uncertainty is left
            ridge = self.noise**2 / x0_variance(level, self.sigma_data)
        return out._replace(x0=agreeing(out.x0, self.operator, self.y, self.rounds, ridge))


def agreeing(x0: torch.Tensor, operator: Operator, y: torch.Tensor, rounds: int, ridge: Scalar = 0.0) -> torch.Tensor:
    """Return x0 with the part that y determines taken from y; see :class:`DDNM`."""
    measured = operator.pinv(y, ridge)

    def matched(x0: torch.Tensor) -> torch.Tensor:
        # in this order what is known of a masked x0 is 0 + y, not x0 + (y - x0), which is rounded
        return x0 - operator.pinv(operator.forward(x0), ridge) + measured

    x0 = matched(x0)
    for _ in range(rounds):
        x0 = matched(x0.clamp(-1, 1))
    return x0

"""Keep the expected image inside the range of images."""

from dataclasses import dataclass

import torch

from ddpm.core import Cond, Denoised, Denoiser, Level


@dataclass(frozen=True, slots=True)
class Clipped:
    """Clip x0 to [-bound, bound]. Solvers derive the noise from this x0, so both stay in agreement."""

    denoise: Denoiser
    bound: float = 1.0

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        out = self.denoise(x, level, cond)
        return out._replace(x0=out.x0.clamp(-self.bound, self.bound))

"""The score: the gradient of the log-density of noisy images (for the evaluation of samples, see ``ddpm.score``)."""

import torch

from ddpm.core.condition import Cond
from ddpm.core.denoiser import Denoiser
from ddpm.core.level import Level, scale


def score(denoise: Denoiser, x: torch.Tensor, level: Level, cond: Cond | None = None) -> torch.Tensor:
    """``∇ log p_t(x) = (alpha · E[x0 | x] - x) / sigma²`` at a noisy level, in nats per unit of x.

    Tweedie's formula (Efron 2011; Karras et al. 2022, eq. 3, where alpha is 1): exact for a
    perfect denoiser, whatever the data. Shapes (B, C, *space).
    """
    x0 = denoise(x, level, cond).x0
    return scale(level.alpha / level.sigma**2, x0) - scale(1 / level.sigma**2, x)

"""The betas of a forward process, as PyTorch programs store them next to a network."""

import torch

from ddpm.core.discrete import Discrete
from ddpm.exchange.tensors import ForeignTensors
from ddpm.system.errors import InputError
from ddpm.system.limits import MOST_TIMESTEPS

BETAS = "betas"
FOLLOWING = (
    "alphas_cumprod",
    "alphas_cumprod_prev",
    "sqrt_alphas_cumprod",
    "sqrt_one_minus_alphas_cumprod",
    "log_one_minus_alphas_cumprod",
    "sqrt_recip_alphas_cumprod",
    "sqrt_recipm1_alphas_cumprod",
    "posterior_variance",
    "posterior_log_variance_clipped",
    "posterior_mean_coef1",
    "posterior_mean_coef2",
)
"""Tables that follow from the betas."""
NEAR = 1e-3
"""The largest relative difference between equal betas: theirs are float32 or float16, or computed from these."""


def take_betas(tensors: ForeignTensors) -> torch.Tensor:
    """Take the betas, (T,) float64.

    Raises:
        InputError: there are none, too many, or one is not between 0 and 1.
    """
    betas = tensors.take(BETAS).double()
    if betas.ndim != 1 or not 1 <= len(betas) <= MOST_TIMESTEPS or not bool(((betas > 0) & (betas < 1)).all()):
        raise InputError("incompatible", f"{tensors.source} has betas that are not between 0 and 1; use another file")
    return betas


def has_betas(schedule: Discrete, betas: torch.Tensor) -> bool:
    """Whether a schedule has these betas."""
    return torch.allclose(1 - schedule.alpha_bar[1:] / schedule.alpha_bar[:-1], betas, rtol=NEAR, atol=0)

"""The forward process of latent diffusion."""

from typing import Any

import torch

from ddpm.core.discrete import scaled_linear
from ddpm.exchange.tensors import ForeignTensors
from ddpm.system.errors import InputError
from ddpm.system.names import suggest

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
"""The largest relative difference of equal betas, which are stored in float32 or float16."""


def read_process(tensors: ForeignTensors, prediction: str | None, inferred: list[str]) -> dict[str, Any]:
    """The trees "diffusion" and "sampling" of a run's settings.

    Args:
        tensors: of the model, some of which are tables of the process.
        prediction: what the network predicts, eps, v or x0, if given.
        inferred: gets lines about what no file says.

    Raises:
        InputError: the prediction is unknown.
    """
    known = ("eps", "v", "x0")
    if prediction not in (None, *known):
        raise InputError("unknown", f"--flags has --parameterization {prediction}{suggest(str(prediction), [*known])}")
    if prediction is None:
        inferred.append('the network predicts eps, as Stable Diffusion 1; --flags "--parameterization v" for others')
    betas = tensors.take(BETAS).double() if BETAS in tensors else None
    for name in FOLLOWING:
        if name in tensors:
            tensors.take(name)
    diffusion: dict[str, Any] = {"schedule": "scaled-linear", "prediction": prediction or "eps"}
    if betas is None:
        inferred.append("the schedule is scaled-linear from 0.00085 to 0.012 in 1000 levels, as Stable Diffusion's")
    elif not _is_scaled_linear(betas):
        diffusion |= {"schedule": "custom", "betas": betas.tolist()}
    else:
        diffusion["T"] = len(betas)
    return {"diffusion": diffusion, "sampling": {}}


def _is_scaled_linear(betas: torch.Tensor) -> bool:
    alpha_bar = scaled_linear(len(betas)).alpha_bar
    return torch.allclose(1 - alpha_bar[1:] / alpha_bar[:-1], betas, rtol=NEAR, atol=0)

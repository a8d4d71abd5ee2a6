"""The forward process of latent diffusion."""

from typing import Any

from ddpm.core.discrete import scaled_linear
from ddpm.exchange.betas import BETAS, FOLLOWING, has_betas, take_betas
from ddpm.exchange.tensors import ForeignTensors
from ddpm.system.errors import InputError
from ddpm.system.names import suggest


def read_process(tensors: ForeignTensors, prediction: str | None, inferred: list[str]) -> dict[str, Any]:
    """The trees "diffusion" and "sampling" of a run's settings.

    Args:
        tensors: of the model, some of which are tables of the process.
        prediction: what the network predicts, eps, v or x0, if given.
        inferred: receives lines about what no file states.

    Raises:
        InputError: the prediction is unknown, or a beta is not between 0 and 1.
    """
    known = ("eps", "v", "x0")
    if prediction not in (None, *known):
        raise InputError("unknown", f"--flags has --parameterization {prediction}{suggest(str(prediction), [*known])}")
    if prediction is None:
        inferred.append('the network predicts eps, as Stable Diffusion 1; --flags "--parameterization v" for others')
    betas = take_betas(tensors) if BETAS in tensors else None
    for name in FOLLOWING:
        if name in tensors:
            tensors.take(name)
    diffusion: dict[str, Any] = {"schedule": "scaled-linear", "prediction": prediction or "eps"}
    if betas is None:
        inferred.append("the schedule is scaled-linear from 0.00085 to 0.012 in 1000 levels, as Stable Diffusion's")
    elif not has_betas(scaled_linear(len(betas)), betas):
        diffusion |= {"schedule": "custom", "betas": betas.tolist()}
    else:
        diffusion["T"] = len(betas)
    return {"diffusion": diffusion, "sampling": {}}

"""The forward process and the objective of lucidrains' denoising-diffusion-pytorch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ddpm import build
from ddpm.config.diffusion import DiffusionConfig
from ddpm.config.objective import GammaWeighting, PlainWeighting
from ddpm.core.discrete import Discrete
from ddpm.exchange.betas import BETAS, FOLLOWING, NEAR, has_betas, take_betas
from ddpm.exchange.fitted import inferring
from ddpm.exchange.tensors import ForeignTensors
from ddpm.system.errors import InputError
from ddpm.system.limits import MOST_TIMESTEPS

SCHEDULES = ("linear", "cosine", "sigmoid")
PREDICTIONS: dict[str, Any] = {"pred_noise": "eps", "pred_x0": "x0", "pred_v": "v"}


@dataclass(frozen=True)
class StoredProcess:
    """The process, according to a file or the flags.

    Attributes:
        diffusion: the forward process, with the prediction.
        weighting: of the training loss.
        inferred: what was inferred, one line each.
    """

    diffusion: DiffusionConfig
    weighting: PlainWeighting | GammaWeighting
    inferred: tuple[str, ...]


def read_process(tensors: ForeignTensors, given: Mapping[str, Any]) -> StoredProcess:
    """The process of the tables stored with a model; of a network alone, that of the flags and the defaults.

    Raises:
        InputError: a flag is unknown, or contradicts the tables.
    """
    for name, known in (("beta_schedule", SCHEDULES), ("objective", PREDICTIONS)):
        if given.get(name, known) not in (*known, known):
            raise InputError("unknown", f"--flags has --{name} {given[name]}; choose from {', '.join(known)}")
    if BETAS not in tensors:
        found: dict[str, Any] = {"beta_schedule": "sigmoid", "timesteps": 1000, "objective": "pred_v"}
        inferred = [f"{name} is {value}, the default there" for name, value in found.items() if name not in given]
        found |= {name: given[name] for name in found if name in given}
        if not 1 <= found["timesteps"] <= MOST_TIMESTEPS:
            raise InputError(
                "invalid", f"--timesteps is {found['timesteps']}; it must be between 1 and {MOST_TIMESTEPS}"
            )
        with inferring(tensors.source, DiffusionConfig):
            diffusion = _diffusion(found["beta_schedule"], found["timesteps"], found["objective"], None)
        return StoredProcess(diffusion, PlainWeighting(name="snr"), tuple(inferred))
    betas = take_betas(tensors)
    T = len(betas)
    for name in FOLLOWING:
        tensors.take(name, (T,))
    schedule = next((name for name in SCHEDULES if _is(name, betas)), None)
    objective, gamma = _objective(betas, tensors.take("loss_weight", (T,)).double(), tensors.source)
    for name, stored in (("beta_schedule", schedule or "another"), ("timesteps", T), ("objective", objective)):
        if given.get(name, stored) != stored:
            raise InputError(
                "conflict", f"{tensors.source} stores {name} {stored}, not {given[name]}; leave out --{name}"
            )
    with inferring(tensors.source, DiffusionConfig):
        diffusion = _diffusion(schedule or "custom", T, objective, None if schedule else tuple(betas.tolist()))
    return StoredProcess(
        diffusion,
        PlainWeighting(name="snr") if gamma is None else GammaWeighting(name="min-snr", gamma=gamma),
        (
            f"the schedule is {schedule or 'custom'}, from the {T} stored betas",
            f"the objective is {objective}{'' if gamma is None else f' with min-SNR weights up to {gamma:g}'}, from "
            "the stored loss_weight",
        ),
    )


def _diffusion(schedule: Any, T: Any, objective: Any, betas: tuple[float, ...] | None) -> DiffusionConfig:
    return DiffusionConfig(schedule=schedule, T=T, betas=betas, prediction=PREDICTIONS[objective], variance="small")


def _is(schedule: str, betas: torch.Tensor) -> bool:
    """Whether betas are those of a named schedule."""
    made = build.SCHEDULES[schedule](len(betas))
    assert isinstance(made, Discrete)
    return has_betas(made, betas)


def _objective(betas: torch.Tensor, weight: torch.Tensor, source: str) -> tuple[str, float | None]:
    """The objective whose loss has these weights, and the gamma of min-SNR weights; None for other weights.

    With ``m = min(SNR, gamma)``, the squared error of the noise is weighted by ``m / SNR``, that of x0 by m, and that
    of v by ``m / (SNR + 1)`` (Hang et al. 2023).

    Raises:
        InputError: there is none.
    """
    signal = (1 - betas).cumprod(0)
    snr = signal / (1 - signal)
    for objective, m in {"pred_noise": weight * snr, "pred_x0": weight, "pred_v": weight * (snr + 1)}.items():
        if torch.allclose(m, snr, rtol=NEAR, atol=0):
            return objective, None
        if torch.allclose(m, snr.clamp(max=float(m.max())), rtol=NEAR, atol=0):
            return objective, round(float(m.max()), 4)
    raise InputError(
        "incompatible",
        f"{source} has a loss_weight of none of the objectives {', '.join(PREDICTIONS)}; use "
        "a model of GaussianDiffusion",
    )

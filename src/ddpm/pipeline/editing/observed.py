"""How what is known of pictures is put into what is expected of them."""

from typing import Literal, get_args

import torch

from ddpm.config import DataConfig, SamplingConfig
from ddpm.constraints import DDNM, MMPS, Operator
from ddpm.constraints.ddnm import ROUNDS
from ddpm.core import Denoiser
from ddpm.errors import InputError
from ddpm.pipeline.task import Task

Method = Literal["mmps", "ddnm"]
"""MMPS asks for gradients, which makes unknown parts fit the known ones; DDNM needs a third of the time or less."""

SPREAD = 0.5
"""Standard deviation of images in [-1, 1] where a run does not say its own (Karras et al. 2022)."""


def method_of(text: str | None) -> Method:
    """By its name; MMPS if None.

    Raises:
        InputError: an unknown one.
    """
    known: tuple[Method, ...] = get_args(Method)
    found = [one for one in known if one == (text or "mmps")]
    if not found:
        raise InputError(f"method {text!r} is unknown; it may be {' or '.join(known)}")
    return found[0]


def spread(data: DataConfig) -> float:
    """Standard deviation of the images of a run, in [-1, 1]; of images that are all alike it is ``SPREAD``, too."""
    return sum(data.std) / (len(data.std) or 1) or SPREAD


def observing(
    method: Method, operator: Operator, y: torch.Tensor, how: SamplingConfig, data: DataConfig, noise: float = 0.0
) -> Task:
    """To draw what agrees with ``y = A x0 + noise · n``; without noise exactly, and in range if it can be.

    Around MMPS, DDNM adds what few conjugate gradients and clipping leave of y. With noise it would count y twice.
    """
    d, rounds = spread(data), ROUNDS if how.clip and not noise else 0

    def bent(denoise: Denoiser) -> Denoiser:
        return MMPS(denoise, operator, y, noise, d)

    def held(denoise: Denoiser) -> Denoiser:
        return DDNM(denoise, operator, y, noise, d, rounds)

    if method == "ddnm":
        return Task(held=held)
    return Task(bent=bent) if noise else Task(bent=bent, held=held)

"""How what is known of pictures is put into what is drawn."""

from typing import Literal, NamedTuple, Self, get_args

import torch

from ddpm.config.data import DataConfig
from ddpm.config.sampling import SamplingConfig
from ddpm.constraints import DDNM, MMPS, Operator
from ddpm.constraints.ddnm import ROUNDS
from ddpm.core import Denoiser
from ddpm.engine.task import Task
from ddpm.records.provenance import Option
from ddpm.system.errors import InputError

Method = Literal["mmps", "ddnm"]
"""MMPS asks for gradients, which makes unknown parts fit the known ones; DDNM takes a third of the time."""

SPREAD = 0.5
"""Standard deviation of images in [-1, 1] where a run does not say its own (Karras et al. 2022)."""


class Repaint(NamedTuple):
    """How RePaint goes to and fro: jumps of so many steps of the grid, each taken so many times."""

    jump: int
    times: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """ "10x10" is a jump of 10 steps, taken 10 times.

        Raises:
            InputError: anything else.
        """
        jump, _, times = text.partition("x")
        if not (jump.isdecimal() and times.isdecimal() and int(jump) and int(times)):
            raise InputError("invalid", f"repaint {text!r} is not two numbers; write JUMPxTIMES, as in 10x10")
        return cls(int(jump), int(times))

    def __str__(self) -> str:
        return f"{self.jump}x{self.times}"


def method_of(text: str | None) -> Method:
    """By its name; MMPS if None.

    Raises:
        InputError: an unknown one.
    """
    known: tuple[Method, ...] = get_args(Method)
    found = [one for one in known if one == (text or "mmps")]
    if not found:
        raise InputError("unknown", f"method {text!r} is unknown; it may be {' or '.join(known)}")
    return found[0]


def settled(method: str | None, repaint: str | None) -> Method | Repaint:
    """How pixels are drawn beside known ones.

    Raises:
        InputError: an unknown method, or both a method and RePaint.
    """
    if repaint is None:
        return method_of(method)
    if method is not None:
        raise InputError("invalid", f"method {method} and repaint {repaint} are two ways to draw; give one")
    return Repaint.parse(repaint)


def recorded(way: Method | Repaint) -> dict[str, Option]:
    """It as options of a command."""
    return {"repaint": str(way)} if isinstance(way, Repaint) else {"method": way}


def spread(data: DataConfig) -> float:
    """Standard deviation of the images of a run, in [-1, 1]; of images that are all alike it is ``SPREAD``, too."""
    return sum(data.std) / (len(data.std) or 1) or SPREAD


def observing(
    method: Method, operator: Operator, y: torch.Tensor, how: SamplingConfig, data: DataConfig, noise: float = 0.0
) -> Task:
    """To draw what agrees with ``y = A x0 + noise · n``; without noise exactly, and in range if it can be.

    Around MMPS, DDNM adds what few conjugate gradients and clipping leave of y. With noise it would count y twice.
    """
    d, rounds = spread(data), ROUNDS if how.clips and not noise else 0

    def bent(denoise: Denoiser) -> Denoiser:
        return MMPS(denoise, operator, y, noise, d)

    def held(denoise: Denoiser) -> Denoiser:
        return DDNM(denoise, operator, y, noise, d, rounds)

    if method == "ddnm":
        return Task(held=held)
    return Task(bent=bent) if noise else Task(bent=bent, held=held)

"""Condition sampling on the known part of pictures."""

from dataclasses import replace
from typing import Literal, NamedTuple, Self, get_args

import torch

from ddpm.config.run import RunConfig
from ddpm.config.sampling import SamplingConfig
from ddpm.constraints import DDNM, MMPS, Operator
from ddpm.constraints.ddnm import LAST_ROUNDS, ROUNDS, agreeing
from ddpm.engine.task import Task
from ddpm.records.provenance import Option
from ddpm.system.errors import InputError

Method = Literal["mmps", "ddnm"]
"""MMPS uses gradients, so that filled-in parts blend with the known ones; DDNM takes a third of the time."""
Learned = Literal["network"]
"""The network itself, which has learned to inpaint, takes the known part."""


class Repaint(NamedTuple):
    """How RePaint resamples back and forth: the length of a jump in steps of the grid, and how often it is taken."""

    jump: int
    times: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse "10x10", a jump of 10 steps taken 10 times.

        Raises:
            InputError: anything else.
        """
        jump, _, times = str(text).partition("x")
        if not (jump.isdecimal() and times.isdecimal() and int(jump) and int(times)):
            raise InputError("invalid", f"repaint {text!r} is not JUMPxTIMES; use two positive integers, such as 10x10")
        return cls(int(jump), int(times))

    def __str__(self) -> str:
        return f"{self.jump}x{self.times}"


def method_of(text: str | None) -> Method:
    """Look up a method by name; MMPS if None.

    Raises:
        InputError: the method is unknown.
    """
    known: tuple[Method, ...] = get_args(Method)
    found = [one for one in known if one == (text or "mmps")]
    if not found:
        raise InputError("unknown", f"unknown method {text!r}; use {' or '.join(known)}")
    return found[0]


def settled(method: str | None, repaint: str | None, *, learned: bool = False) -> Method | Learned | Repaint:
    """Choose between a method and RePaint.

    Args:
        learned: whether the network has learned to inpaint, which it then does by itself if no way is chosen.

    Raises:
        InputError: an unknown method, or both a method and RePaint.
    """
    if repaint is None:
        return "network" if learned and method is None else method_of(method)
    if method is not None:
        raise InputError("conflict", f"method {method} cannot be combined with repaint {repaint}; leave one out")
    return Repaint.parse(repaint)


def recorded(way: Method | Learned | Repaint) -> dict[str, Option]:
    """Return the method as options of a command."""
    if isinstance(way, Repaint):
        return {"repaint": str(way)}
    return {} if way == "network" else {"method": way}


def observing(
    method: Method, operator: Operator, y: torch.Tensor, how: SamplingConfig, run: RunConfig, noise: float = 0.0
) -> Task:
    """Make a task that samples images with ``y = A x0 + noise · n``; without noise exactly, and in range if possible.

    DDNM around MMPS removes the error that few conjugate gradients and clipping leave in y. With noise it would count y
    twice. Without noise the final x is matched once more, as some solvers do not end at the expected image.
    """
    d, rounds, last = run.codec.spread(run.data.std), 0, 0
    if how.clips and not noise:
        rounds, last = ROUNDS, LAST_ROUNDS
    mmps = Task(before_clipping=lambda denoise: MMPS(denoise, operator, y, noise, d))
    ddnm = Task(after_clipping=lambda denoise: DDNM(denoise, operator, y, noise, d, rounds))
    if noise:
        return ddnm if method == "ddnm" else mmps
    exact = replace(ddnm, finish=lambda x: agreeing(x, operator, y, last))
    return exact if method == "ddnm" else replace(exact, before_clipping=mmps.before_clipping)

"""The common part of planning diffusion models and autoencoders."""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

import torch
from accelerate import Accelerator

from ddpm.data.dataset import STATISTICS, Dataset, channel_stats
from ddpm.data.order import split
from ddpm.planning.budget import (
    ANNOUNCEMENT,
    FEW_STEPS,
    MEASURING,
    affordable,
    elapsed,
    shortfall,
    speed_of,
    whole_steps,
)
from ddpm.planning.defaults import LONG
from ddpm.planning.recipes import Rung, Tree
from ddpm.planning.request import Request
from ddpm.system.progress import Say
from ddpm.system.units import duration
from ddpm.training.job import Job
from ddpm.training.measure import Memory, available_bytes


class Planned(Protocol):
    """A resolved run, ready to train."""

    @property
    def job(self) -> Job: ...


PlannedT = TypeVar("PlannedT", bound=Planned, covariant=True)


class Draft(Protocol[PlannedT]):
    """A run with known data whose settings are being resolved.

    Attributes:
        few: what needs more than a thousand steps, in words.
    """

    @property
    def few(self) -> str: ...

    @property
    def accelerator(self) -> Accelerator: ...

    @property
    def say(self) -> Say: ...

    def plan(self, tree: Tree, images: int, speed: float | None) -> PlannedT:
        """The finished plan of a recipe's tree."""
        ...

    def overhead(self, tree: Tree, images: int) -> Mapping[str, float]:
        """What a run measures in addition to training, in words, and its cost in images trained in the same time."""
        ...


def plan_of(
    draft: Draft[PlannedT], rungs: Sequence[Rung], images: int | None, seconds: float | None, began: float
) -> PlannedT:
    """The plan of the largest network that a budget can train: a number of images, a time, or the recipe's own number.

    Args:
        rungs: the smallest network first.
        images, seconds: at most one of the two; ``LONG`` if there is neither, and the recipe has no number.
        began: ``time.monotonic()`` when the budget starts.

    Raises:
        InputError: no time is left.
    """
    if images is None and seconds is None and "images" not in rungs[0].tree.get("training", {}):
        seconds = duration(LONG)
        draft.say(f"no --for or --images given: training for {LONG}")
    if seconds is not None:
        return plan_within(draft, rungs, seconds, began)
    rung = next((r for r in reversed(rungs) if r.needs <= (images or 0)), rungs[0])
    return draft.plan(rung.tree, images or rung.tree["training"]["images"], None)


def plan_within(draft: Draft[PlannedT], rungs: Sequence[Rung], seconds: float, began: float) -> PlannedT:
    """The plan of the largest network that a time budget can train, for ``FEW_STEPS`` steps if it is not the smallest.

    Args:
        rungs: the smallest network first.
        began: ``time.monotonic()`` when the budget starts.

    Raises:
        InputError: no time is left.
    """
    chosen: tuple[Rung, float, int] | None = None
    start, spent, took = time.monotonic(), 0.0, 0.0
    for rung in rungs:
        overhead = partial(draft.overhead, rung.tree)
        if chosen is not None and affordable(chosen[1], seconds, began, overhead) < rung.needs:
            break  # too few images even at the speed of a smaller network
        if spent + took > MEASURING * seconds:
            draft.say("note: this machine is too slow at the moment to try larger networks; use a longer --for")
            break
        job = draft.plan(rung.tree, max(rung.needs, 1), None).job  # of any length, as it only measures speed
        if chosen is None:  # only now are the settings known to be valid
            draft.say(ANNOUNCEMENT)
        speed, batch = speed_of(job, draft.accelerator), job.settings.batch
        needs = max(rung.needs, FEW_STEPS * batch)  # else the advice of a longer budget may lead to too few steps again
        if chosen is not None and affordable(speed, seconds, began, overhead) < needs:
            break
        chosen = rung, speed, batch
        now = elapsed(start)
        spent, took = now, now - spent
    assert chosen is not None
    rung, speed, batch = chosen
    overhead = partial(draft.overhead, rung.tree)
    steps = whole_steps(speed, batch, seconds, began, overhead)
    if (note := shortfall(steps, batch, speed, began, overhead, draft.few)) is not None:
        draft.say(note)
    return draft.plan(rung.tree, steps * batch, speed)


def smaller_micro_batch(needs: Memory, micro: int, device: torch.device, say: Say) -> int | None:
    """The images per forward pass that fit in memory, if fewer than ``micro``; None if these fit."""
    fitting = needs.fitting(available_bytes(device), micro)
    if fitting == micro:
        return None
    say(f"using micro-batches of {fitting} images, to fit in memory")
    return fitting


def data_section(request: Request, dataset: Dataset, seed: int) -> dict[str, Any]:
    """The section of a config about its images, without classes.

    Args:
        seed: determines the held-out images.
    """
    kept, held = split(len(dataset), seed, dataset.validation)
    mean, std = channel_stats(dataset.sample(STATISTICS))
    return {
        "source": request.data,
        "fingerprint": dataset.fingerprint,
        "images": len(kept),
        "held_out": len(held),
        "size": dataset.shape[:2],
        "mode": dataset.mode,
        "fit": request.fit,
        "skip_bad": request.skip_bad,
        "split": request.split,
        "max_pixels": request.max_pixels,
        "streamed": dataset.streamed,
        "mean": tuple(mean.tolist()),
        "std": tuple(std.tolist()),
    }

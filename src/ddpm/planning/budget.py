"""Training budgets: a number of images, or a time converted to one by measuring the speed."""

import math
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import replace

from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from ddpm.data.loader import Steps
from ddpm.objectives.objective import Staged
from ddpm.system.errors import InputError
from ddpm.system.progress import Say
from ddpm.system.units import say_seconds, write_duration
from ddpm.training.job import Job
from ddpm.training.measure import seconds_a_step
from ddpm.training.trainer import Trainer

SPARE = 0.04
"""Share of a time budget reserved for previews, checkpoints and the error of a short measurement."""

FEW_STEPS = 1000
"""Optimiser steps after which samples of any size show shapes; see docs/recipe.md."""
SAFETY = 1.1
"""The proportion of these to advise a budget for, as speeds differ between measurements."""
YEAR = 365 * 24 * 60
"""The minutes of the longest budget to advise."""
TRIAL = 1.0
"""Seconds to measure the speed of a step for."""
MEASURING = 0.15
"""The largest share of a time budget to spend on measuring more than one network."""
ANNOUNCEMENT = "measuring speed …"
"""The line to print before, as it takes some seconds."""

Overhead = Callable[[int], Mapping[str, float]]
"""What a run on this many images measures in addition to training, in words, and its cost in images trained in the same
time."""


def no_overhead(images: int) -> Mapping[str, float]:
    """Nothing is measured in addition to training."""
    return {}


def elapsed(since: float) -> float:
    """Seconds since this ``time.monotonic()``, by the main process's clock, because all processes must agree."""
    passed = [time.monotonic() - since]
    broadcast_object_list(passed)
    return passed[0]


def seconds_left(seconds: float, began: float) -> float:
    """The rest of a time budget that began at this ``time.monotonic()``."""
    return seconds - elapsed(began) - SPARE * seconds


def affordable(speed: float, seconds: float, began: float, overhead: Overhead) -> float:
    """The number of training images that fit in a budget with their overhead; not above 0 if none do.

    Args:
        speed: in images per second.
        began: ``time.monotonic()`` when the budget started.
    """
    images = speed * seconds_left(seconds, began)
    return images - sum(overhead(max(1, int(images))).values())


def whole_steps(
    speed: float, batch: int, seconds: float, began: float, overhead: Overhead = no_overhead, share: float = 1.0
) -> int:
    """The number of whole steps that fit in a budget, at least one.

    Args:
        speed: in images per second.
        began: ``time.monotonic()`` when the budget, or its share, started.
        share: the share of the budget that a stage of a run may spend.

    Raises:
        InputError: no time is left.
    """
    own = share * seconds
    if (images := affordable(speed, own, began, overhead)) > 0:
        return max(1, int(images / batch))
    later = overhead(max(1, int(speed * seconds_left(own, began))))
    spent, later = elapsed(began), {name: cost / speed for name, cost in later.items()}
    least = 60 * math.ceil(2 * (spent + sum(later.values())) / share / 60)
    takes = [f"{name} would take {say_seconds(cost)}" for name, cost in later.items() if cost >= 1]
    stages = f" in each of {round(1 / share)} stages" if share < 1 else ""
    raise InputError(
        "invalid",
        f"--for {write_duration(seconds)} leaves no time for training{stages}: starting and measuring took "
        f"{' and '.join([say_seconds(spent), *takes])}; use --for {write_duration(least)} or longer",
    )


def shortfall(steps: int, batch: int, speed: float, began: float, overhead: Overhead, few: str) -> str | None:
    """A line about a budget that fits fewer than ``FEW_STEPS`` steps; None if that many fit.

    Args:
        speed: in images per second.
        few: what needs more steps, in words.
    """
    if steps >= FEW_STEPS:
        return None
    wanted = SAFETY * FEW_STEPS * batch
    enough = bisect_left(range(YEAR), True, key=lambda m: affordable(speed, 60 * m, began, overhead) >= wanted)
    fit = "step fits" if steps == 1 else "steps fit"
    advice = f"; use --for {write_duration(60 * enough)} for {FEW_STEPS:,} steps" if enough < YEAR else ""
    return f"note: only {steps:,} {fit} in the budget, too few for {few}{advice}"


def images_within(
    job: Job,
    accelerator: Accelerator,
    seconds: float,
    began: float,
    say: Say,
    overhead: Overhead = no_overhead,
    share: float = 1.0,
) -> tuple[int, float]:
    """The number of images that fit in a budget, in whole steps, and the measured speed. The job's model is altered.

    Raises:
        InputError: no time is left.
    """
    say(ANNOUNCEMENT)
    speed, batch = speed_of(job, accelerator), job.settings.batch
    return batch * whole_steps(speed, batch, seconds, began, overhead, share), speed


def speed_of(job: Job, accelerator: Accelerator) -> float:
    """Images per second over all processes, measured on a few real steps of each stage. The job's model is altered."""
    parts = job.objective.parts if isinstance(job.objective, Staged) else ((1.0, job.objective),)
    return 1 / sum(share / _speed(replace(job, objective=one), accelerator) for share, one in parts)


def _speed(job: Job, accelerator: Accelerator) -> float:
    """The speed of a job whose steps all cost the same."""
    trainer = Trainer(job.model, job.objective, job.settings, accelerator)
    rank, world = accelerator.process_index, accelerator.num_processes
    batch = Steps(job.data, job.settings.batch, job.settings.seed, job.settings.flip, rank, world)[0]
    step = seconds_a_step(trainer, batch, TRIAL)
    accelerator.free_memory()
    speeds = [job.settings.batch / step]
    broadcast_object_list(speeds)
    return speeds[0]

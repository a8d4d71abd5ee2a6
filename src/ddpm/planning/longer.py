"""Train a run for longer than it was started for."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ddpm.config.run import IMPORTED, RunConfig
from ddpm.planning.request import refuse_two_budgets
from ddpm.records.run_folder import RunFolder
from ddpm.system.errors import InputError
from ddpm.system.units import count, duration
from ddpm.training import checkpoint as checkpoints
from ddpm.training.rate import learning_rate

BUDGETS = ("for", "images")
"""The flags that say how long to train."""


def longer(config: RunConfig, asked: Mapping[str, Any], out: Path) -> RunConfig:
    """The config of a run with the budget that the flags ask for, if any; every other setting stays.

    A run that was started with a time trains in proportion: twice the time is twice the images.

    Args:
        asked: the given flags of ``ddpm train``, by name.
        out: the run folder.

    Raises:
        InputError: the budget is smaller than the run's, or cannot be compared with it.
    """
    given = {flag: asked[flag] for flag in BUDGETS if flag in asked}
    before = {flag: config.request[flag] for flag in BUDGETS if flag in config.request}
    if not given or given == before:
        return config
    refuse_two_budgets(given)
    images, old, batch = config.training.images, config.training.images, config.training.batch
    if "images" in given:
        images = count(given["images"])
    elif "for" in before:
        share = duration(given["for"]) / duration(before["for"])
        images = old if share == 1 else int(old * share / batch) * batch
    else:
        raise InputError(
            "incompatible",
            f"{out} was started without --for; use --images above {old:,} to train it for longer, or drop --for",
        )
    asked_for = " ".join(f"--{flag} {value}" for flag, value in given.items())
    if images < old:
        raise InputError(
            "incompatible",
            f"{out} trains on {old:,} images already, more than {asked_for}; drop it to resume, or use more to train "
            "for longer",
        )
    if images > old and (config.recipe == IMPORTED or not checkpoints.paths(RunFolder(out).checkpoints)):
        raise InputError(
            "missing", f"{out} has no checkpoints to train on from; drop {asked_for}, or choose another --out"
        )
    request = {flag: value for flag, value in config.request.items() if flag not in BUDGETS} | given
    return config.model_copy(update={"training": replace(config.training, images=images), "request": request})


def rate_line(old: RunConfig, new: RunConfig) -> str:
    """A line for the terminal on the change of the learning rate."""
    s = new.training
    rate, was = learning_rate(s, old.training.steps), learning_rate(old.training, old.training.steps - 1)
    return (
        f"longer    {s.images:,} images instead of {old.training.images:,}; the learning rate follows the schedule of "
        f"{s.images:,} from here on: {rate:.2g} after {old.training.images:,} images, instead of {was:.2g}"
    )

"""Cascades of two runs: one draws images, the other upscales them (Ho et al. 2021)."""

from collections.abc import Sequence

from ddpm.engine.run import LoadedRun
from ddpm.images.photo import SEEN
from ddpm.system.errors import InputError
from ddpm.tasks.upscale import settled


def passed_on(base: LoadedRun, larger: LoadedRun, labels: Sequence[int] | None, n: int) -> list[str] | None:
    """Return the classes of n images of the first run by name, for the second; None if it does not know them all.

    Raises:
        InputError: the second run cannot upscale such images.
    """
    names = [base.classes[label] for label in labels or []]
    passed = names if names and set(names) <= set(larger.classes) else None
    settled(larger, {}, passed, n)
    drawn, taken = base.config.data.mode, larger.config.data.mode
    if drawn not in SEEN[taken]:
        raise InputError(
            "incompatible",
            f"{base.source} draws {drawn} images, but {larger.source} upscales {taken}; use two runs of one mode",
        )
    return passed

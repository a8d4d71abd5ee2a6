"""Two runs after each other: one draws images, another makes them large (Ho et al. 2021)."""

from collections.abc import Sequence

from ddpm.engine.run import LoadedRun
from ddpm.images.photo import SEEN
from ddpm.system.errors import InputError
from ddpm.tasks.upscale import settled


def passed_on(base: LoadedRun, larger: LoadedRun, labels: Sequence[int] | None, n: int) -> list[str] | None:
    """What the second run is told of n images of the first: their classes by name; None if it does not know them all.

    Raises:
        InputError: it has not learned to make such images large.
    """
    names = [base.classes[label] for label in labels or []]
    passed = names if names and set(names) <= set(larger.classes) else None
    settled(larger, {}, passed, n)
    drawn, taken = base.config.data.mode, larger.config.data.mode
    if drawn not in SEEN[taken]:
        raise InputError(
            "invalid",
            f"{base.source} draws {drawn} images, and {larger.source} makes {taken} images large; take two of one mode",
        )
    return passed

"""Two runs after each other: one draws images, another makes them large (Ho et al. 2021)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ddpm.pipeline.editing.photo import SEEN
from ddpm.pipeline.upscaling import settled
from ddpm.system.errors import InputError

if TYPE_CHECKING:
    from ddpm.pipeline.pipeline import Pipeline


def passed_on(base: "Pipeline", larger: "Pipeline", labels: Sequence[int] | None, n: int) -> list[str] | None:
    """What the second run is told of n images of the first: their classes by name; None if it does not know them all.

    Raises:
        InputError: it has not learned to make such images large.
    """
    names = [base.classes[label] for label in labels or []]
    told = names if names and set(names) <= set(larger.classes) else None
    settled(larger, {}, told, n)
    drawn, taken = base.config.data.mode, larger.config.data.mode
    if drawn not in SEEN[taken]:
        raise InputError(
            f"{base.source} draws {drawn} images, and {larger.source} makes {taken} images large; take two of one mode"
        )
    return told

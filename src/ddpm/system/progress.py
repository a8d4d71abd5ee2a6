"""Progress callbacks."""

from collections.abc import Callable
from typing import Protocol

Say = Callable[[str], None]
"""A callback that receives one line of text per decision."""


class Progress(Protocol):
    """A progress callback.

    Args:
        done, total: The progress in any unit; a total of 0 means unknown.
        what: The current activity, where it changes.
    """

    def __call__(self, done: int, total: int, what: str = "", /) -> None: ...


def silent(done: int, total: int, what: str = "", /) -> None:
    """A progress callback that does nothing."""


def doing(progress: Progress, what: str) -> Progress:
    """A callback for one of several successive activities, which names it."""
    return lambda done, total, _="", /: progress(done, total, what)


def part_of(progress: Progress, before: int, total: int) -> Progress:
    """A callback for a part that follows ``before`` units, reporting the progress of the whole."""
    return lambda done, _, what="", /: progress(before + done, total, *([what] if what else []))


def among(progress: Progress, number: int, of: int) -> Progress:
    """A callback for batch ``number`` of ``of`` equal batches, reporting the progress of all of them."""
    return lambda done, steps, what="", /: part_of(progress, number * steps, of * steps)(done, steps, what)

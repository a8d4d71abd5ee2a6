"""How far something is, told while it runs."""

from collections.abc import Callable
from typing import Protocol

Say = Callable[[str], None]
"""Takes a line for people on each decision."""


class Progress(Protocol):
    """Told how far something is.

    Args:
        done, total: in whatever unit; a total of 0 where it is not known.
        what: is being done, where that changes.
    """

    def __call__(self, done: int, total: int, what: str = "", /) -> None: ...


def silent(done: int, total: int, what: str = "", /) -> None:
    """The progress of what nobody watches."""


def doing(progress: Progress, what: str) -> Progress:
    """The progress of one thing among several that are done in turn."""
    return lambda done, total, _="", /: progress(done, total, what)


def part_of(progress: Progress, before: int, total: int) -> Progress:
    """The progress of a part, after as much as ``before``, as that of the whole."""
    return lambda done, _, what="", /: progress(before + done, total, *([what] if what else []))


def among(progress: Progress, number: int, of: int) -> Progress:
    """The progress of batch ``number`` of so many of the same size, as that of them all."""
    return lambda done, steps, what="", /: part_of(progress, number * steps, of * steps)(done, steps, what)

"""The output of commands: lines, notes and progress."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ddpm.system.console import bar, console
from ddpm.system.progress import Progress
from ddpm.system.units import say_seconds

QUIET = 20.0
"""Seconds before a log reports progress."""


def say(*lines: str, style: str | None = None) -> None:
    """Print lines as they are, whatever brackets they hold."""
    for line in lines:
        console.print(line, markup=False, style=style)


def note(*texts: str, wide: int = 14) -> None:
    """Print notes, each after a title of this width."""
    for text in texts:
        console.print(f"[yellow]{'note':<{wide}}[/]", end="")
        say(text)


@contextmanager
def logged_bar(long: str, title: str = "evaluating") -> Iterator[Progress]:
    """A bar on a terminal; in a log, an occasional line with the time that is left.

    Args:
        long: the part to report in a log; every part if empty.
    """
    began, tenth = time.monotonic(), 0
    with bar(title) as shown:

        def report(done: int, total: int, what: str = "", /) -> None:
            nonlocal tenth
            shown(done, total, what)
            took = time.monotonic() - began
            if what.startswith(long) and not sys.stdout.isatty() and took > QUIET and done * 10 // total > tenth:
                tenth = done * 10 // total
                left = say_seconds(took / done * (total - done))
                say(f"{long or what:<13} {100 * done // total} %, {left} left")

        yield report

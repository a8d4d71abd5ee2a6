"""Progress of a command: a bar on a terminal, an occasional line in a log."""

import sys
import time
from typing import Any

from ddpm.system.console import bar, console
from ddpm.system.units import say_seconds

QUIET = 20.0
"""Seconds before a log reports progress."""


class LoggedBar:
    """A progress callback, used as a context manager.

    Args:
        long: the part to report in a log, when stdout is no terminal; every part if empty.
        title: the bar's title.

    Attributes:
        done: the count last reported.
    """

    def __init__(self, long: str, title: str = "evaluating") -> None:
        self._long, self._title, self.done = long, title, 0

    def __enter__(self) -> "LoggedBar":
        self._bar = bar(self._title)
        self._shown = self._bar.__enter__()
        self._began, self._tenth = time.monotonic(), 0
        return self

    def __exit__(self, *error: Any) -> None:
        self._bar.__exit__(*error)

    def __call__(self, done: int, total: int, what: str = "", /) -> None:
        self.done = done
        self._shown(done, total, what)
        if not what.startswith(self._long) or sys.stdout.isatty():
            return
        took = time.monotonic() - self._began
        if took > QUIET and done * 10 // total > self._tenth:
            self._tenth = done * 10 // total
            left = say_seconds(took / done * (total - done))
            console.print(f"{self._long or what:<14}{100 * done // total} %, {left} left")

"""How far a command is: a bar on a terminal, and in a log a line now and then."""

import sys
import time
from typing import Any

from ddpm.system.console import bar, console
from ddpm.system.units import say_seconds

QUIET = 20.0
"""Seconds of the long part before a log says how far it is."""


class LoggedBar:
    """A progress, within its context.

    Args:
        long: the part that a log is told of, where there is no terminal; each, if empty.
        title: of the bar.

    Attributes:
        done: as last told.
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

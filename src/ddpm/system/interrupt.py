"""Stop on a signal without losing work."""

import os
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1") if hasattr(signal, name)]
"""The signals that ask for an end: Ctrl-C, a scheduler, a closed terminal, and SLURM's warning."""
INSISTENT = (signal.SIGINT, signal.SIGTERM)
"""The signals that end the process at once when they come again."""
ECHO = 1.0
"""Seconds within which further signals echo the first: a launcher passes on what the terminal sends too."""


class Interrupted(KeyboardInterrupt):
    """Stopped by a signal, with everything saved."""


class Interrupt:
    """A context in which signals set a flag, read between steps; a later SIGINT or SIGTERM ends the process at once.

    An ignored SIGHUP, as under ``nohup``, stays ignored. Python handles signals in the main thread only; in any other
    thread, the flag changes only if its owner sets it.
    """

    def __init__(self) -> None:
        self.requested = False
        self._first = 0.0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        mine = threading.current_thread() is threading.main_thread()
        for s in SIGNALS if mine else ():
            if s in INSISTENT or signal.getsignal(s) != signal.SIG_IGN:
                self._before[s] = signal.signal(s, self._handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for s, handler in self._before.items():
            signal.signal(s, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self.requested:
            self.requested, self._first = True, now
        elif number in INSISTENT and now - self._first > ECHO:
            os._exit(128 + number)

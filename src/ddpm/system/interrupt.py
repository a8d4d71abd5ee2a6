"""Stop on a signal without losing work."""

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self


class Interrupted(KeyboardInterrupt):
    """Stopped by a signal, with everything saved."""


class Interrupt:
    """A context in which SIGINT and SIGTERM set a flag, read between steps; a second signal ends the process at once.

    Python handles signals in the main thread only; in any other thread, the flag changes only if its owner sets it.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        mine = threading.current_thread() is threading.main_thread()
        for s in (signal.SIGINT, signal.SIGTERM) if mine else ():
            self._before[s] = signal.signal(s, self._handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for s, handler in self._before.items():
            signal.signal(s, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            os._exit(128 + number)
        self.requested = True

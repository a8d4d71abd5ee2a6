"""Stopping on a signal without losing anything."""

import os
import signal
from types import FrameType, TracebackType
from typing import Any, Self


class Interrupt:
    """Within this context SIGINT and SIGTERM set a flag, read between steps; a second one ends the process at once."""

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for s in (signal.SIGINT, signal.SIGTERM):
            self._before[s] = signal.signal(s, self._handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for s, handler in self._before.items():
            signal.signal(s, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            os._exit(128 + number)
        self.requested = True

"""Results in order, computed ahead of time by a pool."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def prefetch(pool: Executor, task: Callable[[T], R], arguments: Iterable[T], window: int) -> Iterator[R]:
    """``task`` of each argument, in order; at most ``window`` results wait in memory."""
    waiting: deque[Future[R]] = deque()
    try:
        for argument in arguments:
            waiting.append(pool.submit(task, argument))
            if len(waiting) > window:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()

"""The number of threads that PyTorch computes with on the CPU, chosen by measuring.

Threads wait for each other at the end of every operation. Where another program uses one of their cores, two threads
can therefore be many times slower than one.
"""

import math
import os
import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from threading import current_thread, main_thread
from typing import TypeVar

import torch

from ddpm.system.units import say_count

T = TypeVar("T")
TRIAL = 1.0
"""Seconds for which each number of threads is tried, unless said otherwise."""
WINDOW = 10.0
"""Seconds over which the speed is watched."""
CHANGE = 1.5
"""The change of speed, up or down, after which all numbers are tried again."""
AGAIN = 60.0
"""Seconds after which they are tried again where this has changed nothing; doubled each time while the speed is low."""
MARGIN = 1.25
"""The factor by which another number must be faster than the preferred one, so that chance does not decide."""


def candidates() -> list[int]:
    """The numbers of threads to choose from, largest first: PyTorch's own and its halves, or the one that is set."""
    most = torch.get_num_threads()
    if "OMP_NUM_THREADS" in os.environ:
        return [most]
    return [most >> k for k in range(most.bit_length())]


class Choice:
    """The number of threads for one kind of work, chosen by the times of its pieces.

    It measures real work, so that only the slower of the numbers tried cost time.

    Attributes:
        count: the number to use for the next piece.
        seconds: the time of a piece when the number was chosen; infinite before.
        tried: number -> the time of a piece, in the newest trial.

    Args:
        counts: the numbers to choose from, the preferred one first.
        delay: the seconds of work before the first trial, which short work is not worth.
        trial: the seconds for which each number is tried.
    """

    def __init__(self, counts: list[int], delay: float = 0.0, trial: float = TRIAL) -> None:
        self.counts, self.count, self.trial = counts, counts[0], trial
        self.seconds = self._best = math.inf
        self.tried: dict[int, float] = {}
        self._chosen: int | None = None
        self._wait, self._since = AGAIN, 0.0
        self._spent, self._pieces = -delay, -1  # the first piece prepares the others: it is not counted

    @property
    def choosing(self) -> bool:
        """Whether numbers of threads are being tried."""
        return len(self.tried) < len(self.counts)

    def took(self, seconds: float) -> str | None:
        """Take note of the time of a piece; returns a line for the user if the number changes after the start."""
        self._pieces += 1
        self._spent += seconds if self._pieces else 0.0
        if not self.choosing:
            self._watch()
        elif self._spent >= self.trial and self._pieces:
            return self._next()
        return None

    def _next(self) -> str | None:
        """Try the next number, or choose the fastest."""
        self.tried[self.count] = self._spent / self._pieces
        self._spent, self._pieces = 0.0, 0
        if self.choosing:
            self.count = self.counts[len(self.tried)]
            return None
        before, fastest = self._chosen, min(self.tried.values())
        self.count = self._chosen = next(n for n in self.counts if self.tried[n] <= MARGIN * fastest)
        self.seconds, self._since = self.tried[self.count], 0.0
        self._best = min(self._best, self.seconds)
        if before is None or before == self.count:
            return None
        self._wait = AGAIN
        faster = self.tried[before] / self.seconds
        return (
            f"continuing with {say_count(self.count, 'thread')}: {faster:.1f} times as fast as {before} at the moment"
        )

    def _watch(self) -> None:
        """Try again if the speed has changed, or if it has been low for long."""
        if self._spent < WINDOW:
            return
        mean = self._spent / self._pieces
        self._since += self._spent
        self._spent, self._pieces = 0.0, 0
        changed = not 1 / CHANGE < mean / self.seconds < CHANGE
        low = self.seconds > CHANGE * self._best
        if changed or (low and self._since >= self._wait):
            self._wait = AGAIN if changed else 2 * self._wait
            self.tried, self.count = {}, self.counts[0]


class Threads:
    """The choices of a process for its kinds of work."""

    def __init__(self, counts: list[int], apply: Callable[[int], None] = torch.set_num_threads) -> None:
        self.counts, self._apply = counts, apply
        self._choices: dict[Hashable, Choice] = {}
        self._applied = counts[0]

    def choice(self, work: Hashable, delay: float = 0.0) -> Choice:
        """The choice for a kind of work, whose pieces should take equal times."""
        return self._choices.setdefault(work, Choice(self.counts, delay))

    @contextmanager
    def timed(self, choice: Choice, say: Callable[[str], None] | None = None) -> Iterator[None]:
        """Do a piece of work with the chosen number of threads, and time it.

        Args:
            say: receives a line when the number changes after the start.
        """
        if current_thread() is not main_thread():  # the number belongs to the thread that sets it
            yield
            return
        if choice.count != self._applied:
            self._apply(choice.count)
            self._applied = choice.count
        began = time.perf_counter()
        yield
        line = choice.took(time.perf_counter() - began)
        if line and say is not None:
            say(line)

    def each(self, items: Iterable[T], choice: Choice) -> Iterator[T]:
        """The items, each computed as a piece of work."""
        source = iter(items)
        while True:
            with self.timed(choice):
                try:
                    item = next(source)
                except StopIteration:
                    return
            yield item


@cache
def threads() -> Threads:
    """The choices of this process."""
    return Threads(candidates())

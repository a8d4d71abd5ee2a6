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
PROBE = 0.05
"""Seconds for which short operations are timed, to see how long threads wait for each other."""
CROWDED = 10.0
"""The factor by which one thread must be faster at these for more threads not to be tried at all. On a calm machine it
is about 1, next to a busy program in the hundreds: a single training step could then take half a minute."""


def candidates() -> list[int]:
    """The numbers of threads to choose from, largest first: PyTorch's own and its halves, or the one that is set."""
    most = torch.get_num_threads()
    if "OMP_NUM_THREADS" in os.environ:
        return [most]
    return [most >> k for k in range(most.bit_length())]


def probe(seconds: float = PROBE) -> float:
    """Short operations per second, of the smallest size that PyTorch divides among several threads."""
    x, done, took = torch.ones(1 << 18), 0, 0.0
    began = time.perf_counter()
    while took < seconds:
        x.mul_(1.0)
        done, took = done + 1, time.perf_counter() - began
    return done / took


class Choice:
    """The number of threads for one kind of work, chosen by the times of its pieces.

    It measures real work, so that only the slower of the numbers tried cost time.

    Attributes:
        count: the number to use for the next piece.
        seconds: the time of a piece when the number was chosen; infinite before.
        tried: number -> the time of a piece, in the newest trial; infinite if it was passed over.

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
        self._delay, self._spent, self._pieces = delay, 0.0, -1  # the first piece prepares the others: not counted
        self._probed = False

    @property
    def choosing(self) -> bool:
        """Whether numbers of threads are being tried."""
        return len(self.tried) < len(self.counts)

    def took(self, seconds: float) -> str | None:
        """Take note of the time of a piece; returns a line for the user if the number changes after the start."""
        if self._delay > 0 and self._pieces == 0:
            self._delay -= seconds
            return None
        self._pieces += 1
        self._spent += seconds if self._pieces else 0.0
        if not self.choosing:
            self._watch()
        elif self._spent >= self.trial and self._pieces:
            return self._next(self._spent / self._pieces)
        return None

    def pass_over(self, crowded: Callable[[int], bool]) -> str | None:
        """Pass over numbers that are not worth trying, each asked for once per trial; returns a line as for `took`."""
        line = None
        while len(self.counts) > 1 and self.choosing and not self._probed and self._delay <= 0:
            self._probed = True
            if crowded(self.count):
                line = self._next(math.inf)
        return line

    def _next(self, seconds: float) -> str | None:
        """Take note of the time of a piece, and try the next number, or choose the fastest."""
        self.tried[self.count] = seconds
        self._spent, self._pieces, self._probed = 0.0, min(self._pieces, 0), False
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
        why = f"{faster:.1f} times as fast as {before}" if faster < math.inf else f"{before} wait for each other"
        return f"continuing with {say_count(self.count, 'thread')}: {why} at the moment"

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
    """The choices of a process for its kinds of work.

    Args:
        apply: sets the number of threads.
        speed: operations per second at that number.
    """

    def __init__(
        self,
        counts: list[int],
        apply: Callable[[int], None] = torch.set_num_threads,
        speed: Callable[[], float] = probe,
    ) -> None:
        self.counts, self._apply, self._speed = counts, apply, speed
        self._choices: dict[Hashable, Choice] = {}
        self._applied = counts[0]

    def choice(self, work: Hashable, delay: float = 0.0) -> Choice:
        """The choice for a kind of work, whose pieces should take equal times."""
        return self._choices.setdefault(work, Choice(self.counts, delay))

    def ease(self) -> None:
        """Use the largest number whose threads do not wait too long for each other, for work that is not timed."""
        if current_thread() is main_thread():
            self._use(next(count for count in self.counts if not self._crowded(count)))

    @contextmanager
    def timed(self, choice: Choice, say: Callable[[str], None] | None = None) -> Iterator[None]:
        """Do a piece of work with the chosen number of threads, and time it.

        Args:
            say: receives a line when the number changes after the start.
        """
        if current_thread() is not main_thread():  # the number belongs to the thread that sets it
            yield
            return
        passed = choice.pass_over(self._crowded)
        self._use(choice.count)
        began = time.perf_counter()
        yield
        line = choice.took(time.perf_counter() - began) or passed
        if line and say is not None:
            say(line)

    def _use(self, count: int) -> None:
        if count != self._applied:
            self._apply(count)
            self._applied = count

    def _crowded(self, count: int) -> bool:
        """Whether this many threads wait too long for each other."""
        fewest = min(self.counts)
        if count == fewest:
            return False
        self._use(fewest)
        alone = self._speed()
        self._use(count)
        return self._speed() * CROWDED < alone

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

"""A contender seen from outside: one process, and the rounds in which several take turns."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from side_by_side.subject import Subject

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Contender:
    """What a process is to be.

    Attributes:
        maker: "ours.training", "theirs.sampling", …: a function of this package.
        subject: what it works on.
        keep_freed: whether its C library keeps freed memory, as ``ddpm`` lets it.
        options: other arguments of the maker.
    """

    maker: str
    subject: Subject
    keep_freed: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


class Running:
    """The process of a contender.

    Attributes:
        facts: what it says of itself.
    """

    def __init__(self, contender: Contender, threads: int) -> None:
        spec = {
            "maker": contender.maker,
            "subject": contender.subject.to_json(),
            "threads": threads,
            "keep_freed": contender.keep_freed,
            "options": dict(contender.options),
        }
        path = os.pathsep.join([str(ROOT / "benchmarks"), str(ROOT), os.environ.get("PYTHONPATH", "")])
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "side_by_side.worker", json.dumps(spec)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": str(threads), "TQDM_DISABLE": "1"},
        )
        self.facts: dict[str, Any] = self._answer()

    def seconds(self, act: str, *, warm: int = 0, times: int = 1) -> float:
        """The mean time of an act over so many, after some that do not count."""
        seconds: float = self._ask(act=act, warm=warm, times=times)
        return seconds

    def peak(self) -> int:
        """The most bytes that it has held."""
        peak: int = self._ask(act="peak")
        return peak

    def _ask(self, **ask: Any) -> Any:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # said better below
            print(json.dumps(ask), file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._log.seek(0)
            raise RuntimeError(f"a contender ended (exit code {self._process.wait()}):\n{self._log.read()[-4000:]}")
        return json.loads(line)

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()
        self._log.close()


@contextlib.contextmanager
def start(contenders: Mapping[str, Contender], threads: int) -> Iterator[dict[str, Running]]:
    """All of them, by name; ended on the way out."""
    with contextlib.ExitStack() as stack:
        running: dict[str, Running] = {}
        for name, contender in contenders.items():
            running[name] = Running(contender, threads)
            stack.callback(running[name].close)
        yield running


class Spread(NamedTuple):
    """Of several measurements."""

    median: float
    low: float
    high: float

    def say(self, scale: float, digits: int) -> str:
        """ "12.3 (11.9 – 13.0)"."""
        middle, low, high = (f"{scale * value:.{digits}f}" for value in self)
        return f"{middle} ({low} – {high})"


def spread(values: Sequence[float]) -> Spread:
    return Spread(median(values), min(values), max(values))


Turn = tuple[str, str]
"""A contender and its act."""


def take_turns(
    running: Mapping[str, Running], turns: Sequence[Turn], *, rounds: int, times: int, say: Callable[[str], None]
) -> dict[Turn, list[float]]:
    """Seconds of each turn in each round, after one round that does not count.

    Every second round goes backwards, so that a machine that only ever slows down favours nobody.
    """
    warm = 1 if times > 1 else 0  # short acts on a GPU, whose memory was given back since
    took: dict[Turn, list[float]] = {turn: [] for turn in turns}
    for number in range(rounds + 1):
        say(f"round {number} of {rounds}" if number else "warming up")
        for name, act in turns if number % 2 else reversed(turns):
            seconds = running[name].seconds(act, warm=warm, times=times)
            if number:
                took[name, act].append(seconds)
    return took


def ratios(took: Mapping[Turn, Sequence[float]], above: Turn, below: Turn) -> Spread:
    """How many times as long one turn takes as another, by rounds."""
    return spread([a / b for a, b in zip(took[above], took[below], strict=True)])

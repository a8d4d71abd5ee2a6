"""The processes of a distributed run end together: if one is killed or hangs, the others do not wait for it.

Each process increments a counter, its heartbeat, in the store through which the processes found each other, and watches
the counter of the next. This notices what sockets do not: a machine that is switched off, or a process that stops.
Nothing heavy is imported before it is needed, as the command line begins here.
"""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn
from uuid import uuid4

from ddpm.system.interrupt import Interrupted

if TYPE_CHECKING:
    from torch.distributed import Store  # type: ignore[attr-defined]

EXIT_LOST = 4
"""The exit code of a process that lost another one; the same command resumes."""
AGREED = (None, 0, 3, 75)
"""The exit codes that all processes of a run reach together."""
PATIENCE = timedelta(days=7)
"""How long processes wait for one that is alive: the main one may measure alone for hours."""
BEAT, SILENCE, GRACE = 2.0, 18.0, 5.0
"""Seconds between heartbeats; without one until a process counts as lost; and then, until this process is ended."""
REMEDY = "re-run the same command to resume"
OTHERS = "the other processes"
"""The name of what is lost if the store does not answer."""
_LOST, _SAID = "lost", "said"
"""Keys of the store: the rank of a process that was lost, and the number of processes that printed a line."""


class _Watch:
    """Threads that send heartbeats, watch those of the next process, and end this process if one is lost."""

    def __init__(self, store: "Store", rank: int, world: int) -> None:
        self.store, self.rank, self.world = store, rank, world
        self._over = threading.Event()
        self._lost: str | None = None
        self._beats, self._heard, self._since = 0, b"", time.monotonic()
        self._reached = self._since
        for target in (self._talk, self._judge):
            threading.Thread(target=target, name="peers", daemon=True).start()

    def _talk(self) -> None:
        while self._lost is None and not self._over.wait(BEAT):
            try:
                self._look()
            except RuntimeError:  # the process that has the store is gone
                self._lost = OTHERS
            self._reached = time.monotonic()

    def _look(self) -> None:
        """Send a heartbeat, and find out whether a process was lost."""
        self._beats += 1
        self.store.set(str(self.rank), str(self._beats))
        if self.store.check([_LOST]):
            self._lost = self._name(int(self.store.get(_LOST)))
            return
        after = (self.rank + 1) % self.world
        heard = self.store.get(str(after)) if self.store.check([str(after)]) else b""
        if heard != self._heard or heard == b"done":
            self._heard, self._since = heard, time.monotonic()
        elif time.monotonic() - self._since > SILENCE:
            self.store.set(_LOST, str(after))
            self._lost = self._name(after)

    def _name(self, rank: int) -> str:
        return f"process {rank} of {self.world}"

    def _judge(self) -> None:
        """End this process; apart from the other thread, as the store of a machine that is off never answers."""
        while self._lost is None:
            if self._over.wait(BEAT):
                return
            if time.monotonic() - self._reached > SILENCE:
                self._lost = OTHERS
        # the main thread usually notices, too; it may also wait in an operation that nothing else can end
        if not self._over.wait(GRACE):
            self.say(f"lost {self._lost}; {REMEDY}")
            sys.stderr.flush()
            os._exit(EXIT_LOST)

    def stop(self, failed: bool) -> None:
        """Tell the others whether they need this process, and end the threads."""
        with suppress(RuntimeError):
            self.store.set(_LOST if failed else str(self.rank), str(self.rank) if failed else "done")
        self._over.set()

    def say(self, line: str) -> None:
        """Print a line, unless another process has printed one."""
        first = True
        if self._lost != OTHERS:
            with suppress(RuntimeError):
                first = self.store.add(_SAID, 1) == 1
        if first:
            print(f"ddpm: {line}", file=sys.stderr)


_inside = False
_watch: _Watch | None = None


@contextmanager
def together() -> Iterator[None]:
    """Inside, this process is ended with ``EXIT_LOST`` if another of the distributed run is lost.

    It takes effect with :func:`watch`, once the processes are connected. They must leave it together, but for an error.
    """
    global _inside, _watch
    if _inside:
        yield
        return
    _inside, failed = True, True
    try:
        yield
        failed = False
    except SystemExit as e:
        failed = e.code not in AGREED
        raise
    except Interrupted:
        failed = False
        raise
    finally:
        if _watch is not None:
            _watch.stop(failed)
        _inside, _watch = False, None


def watch() -> None:
    """Watch the other processes, if there are any, until the end of :func:`together`."""
    global _watch
    from torch import distributed
    from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

    if not _inside or _watch is not None or not distributed.is_initialized() or distributed.get_world_size() == 1:
        return
    token = [uuid4().hex]  # an earlier run of these processes may have used the same store
    distributed.broadcast_object_list(token)
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    own = TCPStore(address, port, is_master=False, timeout=timedelta(seconds=SILENCE))
    _watch = _Watch(PrefixStore(token[0], own), distributed.get_rank(), distributed.get_world_size())


def say(line: str) -> None:
    """Print a line on stderr, once for all processes of a distributed run (before they connect, once per machine)."""
    if _watch is not None:
        _watch.say(line)
    elif os.environ.get("LOCAL_RANK", "0") == "0":
        print(f"ddpm: {line}", file=sys.stderr)


def lost(e: BaseException) -> bool:
    """Whether an error is one of communication: of torch.distributed, or of its backends, which have no type for it."""
    if _watch is None or not isinstance(e, RuntimeError):
        return False
    from torch.distributed import DistError

    return isinstance(e, DistError) or any(backend in str(e) for backend in ("gloo", "NCCL"))


def end() -> NoReturn:
    """End this process after an error of communication, without waiting for others, as an orderly end may."""
    if _watch is not None:
        _watch.say(f"lost another of {_watch.world} processes; {REMEDY}")
        _watch.stop(failed=True)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(EXIT_LOST)

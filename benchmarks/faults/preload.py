"""A library that kills a process, or fails its call, at the n-th system call that changes files in a folder."""

import ctypes
import errno
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("calls.c")
COUNT, KILL, FAIL_ONCE, FAIL_FROM = range(4)


@dataclass(frozen=True)
class Fault:
    """What happens at a call.

    Attributes:
        action: as in calls.c.
        error: the error of a call that fails.
    """

    name: str
    action: int
    error: int = 0


UNTOUCHED = Fault("untouched", COUNT)
FAULTS = (
    Fault("killed", KILL),
    Fault("disk full", FAIL_FROM, errno.ENOSPC),
    Fault("disk error", FAIL_ONCE, errno.EIO),
    Fault("read-only", FAIL_FROM, errno.EROFS),
)


def compiled(folder: Path) -> Path:
    """Compile the library into a folder; return its path."""
    library = folder / "calls.so"
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"], check=True)
    return library


def preloaded() -> bool:
    """Whether this process has the library."""
    return hasattr(ctypes.CDLL(None), "calls_counted")


def restart(library: Path) -> None:
    """Start this command again with the library, with one thread."""
    os.environ |= {"LD_PRELOAD": str(library), "OMP_NUM_THREADS": "1"}
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def arm(folder: Path, fault: Fault, number: int, log: Path | None = None) -> None:
    """Let a fault happen to this process at a call; with a log, write down the calls."""
    arguments = [bytes(folder), fault.action, number, fault.error, b"" if log is None else bytes(log)]
    ctypes.CDLL(None).arm(*arguments)

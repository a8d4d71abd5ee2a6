"""One process at a time."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ddpm.system.errors import InputError
from ddpm.system.files import disk_errors

LOCK = ".lock"
"""The file in a folder that a process holds while it trains or serves there."""


@contextmanager
def exclusive(folder: Path, use: str = "being trained") -> Iterator[None]:
    """Be the only process that trains or serves in a folder, which is created if necessary.

    The lock ends with the process, however that ends. Where a file system has no locks, nothing is locked.

    Args:
        use: what the folder is for.

    Raises:
        InputError: another process holds it.
    """
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    handle = _locked(path, use)
    try:
        yield
    finally:
        if handle is not None:
            with suppress(OSError):
                path.unlink()
            os.close(handle)


def _locked(path: Path, use: str) -> int | None:
    """A handle of the locked file; None if it cannot be written or locked, which the next write there reports."""
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError:
            return None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
                os.ftruncate(handle, 0)
                os.write(handle, f"process {os.getpid()} on {socket.gethostname()}".encode())
                return handle
            os.close(handle)  # its holder removed it meanwhile
        except FileNotFoundError:
            os.close(handle)  # removed just now
        except BlockingIOError:
            holder = os.read(handle, 200).decode(errors="replace") or "another process"
            os.close(handle)
            raise InputError("busy", f"{path.parent} is {use} by {holder}; wait for it to end, or stop it") from None
        except OSError:
            os.close(handle)
            return None

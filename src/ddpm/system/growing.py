"""Large files in the cache that grow piece by piece, and are complete once."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from ddpm.system.cache import ADVICE, check_room
from ddpm.system.files import disk_errors, flush
from ddpm.system.progress import Progress, silent


def written_once(
    path: Path,
    ends: npt.NDArray[np.int64],
    chunk: int,
    made: Callable[[int, int], memoryview],
    what: str = "the images",
    progress: Progress = silent,
) -> Path:
    """Write the items of a file, or those that an unfinished one lacks; return its path.

    A killed call is resumed at the last complete item. Concurrent calls write the same bytes at the same positions,
    until the first has them all.

    Args:
        ends: the byte at which each item ends, (N,).
        chunk: the number of items that are made, and written to disk, at a time.
        made: the bytes of the items from one number up to another.
        what: the items, for the message that the disk lacks room.
        progress: called with (items done, in total).

    Raises:
        InputError: the file cannot be written.
    """
    n, size = len(ends), int(ends[-1])
    draft = path.with_name(f"{path.name}.draft")
    with disk_errors(path, ADVICE):
        path.parent.mkdir(parents=True, exist_ok=True)
        if _has(path, size):
            return path
        with _opened(draft) as file:
            done = int(np.searchsorted(ends, os.fstat(file.fileno()).st_size, "right"))
            at = int(ends[done - 1]) if done else 0
            check_room(path.parent, size - at, what)
            # in a file that a faster call has finished and published, nothing changes any more
            while done < n and not _has(path, size):
                upto = min(done + chunk, n)
                file.seek(at)
                file.write(made(done, upto))
                flush(file)
                done, at = upto, int(ends[upto - 1])
                progress(done, n)
        if _has(path, size):
            draft.unlink(missing_ok=True)
        else:
            with suppress(FileNotFoundError):  # finished since
                draft.replace(path)
    return path


def _opened(draft: Path) -> BinaryIO:
    """Open a file to write in, as it is or new, in one step: a concurrent call may rename it between two."""
    return open(draft, "r+b", opener=lambda path, flags: os.open(path, flags | os.O_CREAT, 0o666))


def _has(path: Path, size: int) -> bool:
    """Whether a file exists and has a size in bytes."""
    with suppress(FileNotFoundError):
        return path.stat().st_size == size
    return False

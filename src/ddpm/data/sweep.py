"""One pass over every image of a source, in parallel processes."""

import errno
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import TypeAlias, TypeVar

from ddpm.data.prefetch import prefetch
from ddpm.data.source import Read, Source
from ddpm.images.decode import BadImage, Look, TooLarge, decode
from ddpm.images.geometry import Geometry
from ddpm.images.pixels import Pixels
from ddpm.system.errors import InputError
from ddpm.system.progress import Progress, silent

T = TypeVar("T")
R = TypeVar("R")

CHUNK = 64
"""The number of images sent to a process at a time."""

SMALL = 8_000_000
"""The number of bytes that one process decodes in the time that others take to start."""

MOST = 32
"""The largest number of processes started by default."""

DISK = (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Errors of the disk or the machine, which say nothing about an image and may be temporary."""

Finding: TypeAlias = tuple[Look | str, Pixels | None]
"""A look, or the reason for a failure; with a geometry, also the pixels (H, W, C)."""


def sweep(
    source: Source, geometry: Geometry | None, workers: int | None = None, progress: Progress = silent
) -> Iterator[Finding]:
    """Decode every image; yields one finding per image, in the source's order.

    Args:
        geometry: The geometry to apply to the pixels; None returns no pixels.
        workers: The number of worker processes; None chooses by the source's size, 0 decodes in this process.

    Raises:
        InputError: if the worker processes stop.
    """
    n = len(source)
    chunks = ([source.address(j) for j in range(i, min(i + CHUNK, n))] for i in range(0, n, CHUNK))
    task = partial(_look_at, source.read, geometry, source.max_pixels)
    if source.size is None or (workers is None and source.size < SMALL):
        workers = 0  # sending an array takes longer than reading it
    elif workers is None:
        workers = cores()
    done = 0
    for findings in map(task, chunks) if workers == 0 else in_processes(task, chunks, workers):
        yield from findings
        done += len(findings)
        progress(done, n)


def _look_at(read: Read, geometry: Geometry | None, most: int, names: list[str]) -> list[Finding]:
    return [look(read, geometry, most, name) for name in names]


def look(read: Read, geometry: Geometry | None, most: int, name: str) -> Finding:
    """Decode one image of at most this many pixels."""
    try:
        image, facts = decode(read(name), most, (1, 1) if geometry is None else geometry.size)
    except TooLarge as error:
        return f"{error}; use --max-pixels to raise the limit", None
    except BadImage as error:
        return str(error), None
    except OSError as error:
        if error.errno in DISK:
            raise
        return f"cannot be read ({error.strerror or error})", None
    return facts, geometry.apply(image) if geometry else None


def in_processes(task: Callable[[T], R], arguments: Iterable[T], workers: int) -> Iterator[R]:
    """``task`` of each argument, in order, by processes that do not import torch.

    Raises:
        InputError: if the processes stop.
    """
    with ProcessPoolExecutor(workers, get_context("spawn"), start) as pool:
        try:
            yield from prefetch(pool, task, arguments, 4 * workers)
        except BrokenProcessPool as error:
            raise stopped() from error


def stopped() -> InputError:
    """The error for processes that stop."""
    return InputError(
        "invalid",
        "the processes that decode images stopped; guard the script with"
        ' `if __name__ == "__main__":`, or use workers=0',
    )


def start() -> None:
    """Leave Ctrl-C to the parent process, and exit when it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_follow, daemon=True).start()


def _follow() -> None:
    if parent := parent_process():
        parent.join()
        os._exit(1)


def cores() -> int:
    """The number of cores available to this process, up to the point where the disk becomes the bottleneck."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST)

"""Images that are decoded each time they are read, by processes that do not import torch."""

import os
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from threading import Lock
from typing import Any, TypeAlias

import numpy as np

from ddpm.data.columns import IntColumn, Ints, picked_ints
from ddpm.data.source import Read, Source
from ddpm.data.sweep import cores, look, start, stopped
from ddpm.images.geometry import Geometry
from ddpm.images.pixels import Pixels
from ddpm.system.errors import InputError

ALONE = 8
"""Fewer images than this are decoded in the process that reads them."""


Decoded: TypeAlias = tuple[Pixels, dict[int, str]]
"""Images (b, H, W, C), and the reasons for those that cannot be used, by position in 0 … b - 1."""


HowToDecode: TypeAlias = tuple[Read, Geometry, int, tuple[int, int, int]]
"""How to read an image, the geometry to apply, the most pixels to decode, and the (H, W, C) of the result."""


class Streamed:
    """The images of a source in one size and mode, none of which is kept.

    Attributes:
        source: The images.
        geometry: Their size and mode, both known.
        rows: The numbers of the images in the source; None for all in order.
        unusable: The reasons for the images that were read and cannot be used, by number.
    """

    def __init__(self, source: Source, geometry: Geometry, rows: IntColumn | None = None) -> None:
        assert geometry.size is not None
        assert geometry.mode is not None
        self.source, self.geometry, self.rows = source, geometry, rows
        self.unusable: dict[int, str] = {}
        self._size, self._channels = geometry.size, len(geometry.mode)
        self._given: HowToDecode = source.read, geometry, source.max_pixels, (*self._size, self._channels)
        self._pool: ProcessPoolExecutor | None = None
        self._lock = Lock()
        self._workers = max(1, cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))

    def __len__(self) -> int:
        return len(self.source if self.rows is None else self.rows)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, H, W, C)."""
        return len(self), *self._size, self._channels

    def picked(self, rows: IntColumn) -> "Streamed":
        """The images in some rows."""
        return Streamed(self.source, self.geometry, rows if self.rows is None else picked_ints(self.rows, rows))

    def decode(self, rows: Ints) -> tuple[Pixels, Ints]:
        """The images in these rows, (b, H, W, C), and the places in 0 … b - 1 of those that cannot be used, zeros.

        Raises:
            InputError: if the disk or the network fails, or the decoding processes stop.
        """
        numbers: Ints = rows if self.rows is None else np.asarray(self.rows[rows])
        addresses = [self.source.address(int(number)) for number in numbers]
        pixels = np.zeros((len(rows), *self.shape[1:]), np.uint8)
        failed = list[int]()
        for first, (images, reasons) in self._decoded(addresses):
            pixels[first : first + len(images)] = images
            for place, reason in reasons.items():
                failed.append(first + place)
                self.unusable.setdefault(int(numbers[first + place]), reason)
        return pixels, np.array(failed, np.int64)

    def _decoded(self, addresses: list[str]) -> list[tuple[int, Decoded]]:
        pool = self._processes() if len(addresses) >= ALONE else None
        try:
            if pool is None:
                return [(0, _decoded(*self._given, addresses))]
            share = max(ALONE // 2, -(-len(addresses) // self._workers))
            firsts = range(0, len(addresses), share)
            waiting = [pool.submit(_here, addresses[i : i + share]) for i in firsts]
            return list(zip(firsts, (each.result() for each in waiting), strict=True))
        except OSError as error:
            reason = error.strerror or error
            raise InputError(
                "unreadable", f"cannot read the images ({reason}); re-run the same command to resume"
            ) from error
        except BrokenProcessPool as error:
            raise stopped() from error

    def _processes(self) -> ProcessPoolExecutor | None:
        """The processes that decode, started when first needed; None on one core."""
        with self._lock:
            if self._pool is None and self._workers > 1:
                self._pool = ProcessPoolExecutor(self._workers, get_context("spawn"), _begin, self._given)
            return self._pool

    def __getstate__(self) -> dict[str, Any]:
        return {"source": self.source, "geometry": self.geometry, "rows": self.rows}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]


def _decoded(read: Read, geometry: Geometry, most: int, shape: tuple[int, int, int], addresses: list[str]) -> Decoded:
    pixels, reasons = np.zeros((len(addresses), *shape), np.uint8), dict[int, str]()
    for i, address in enumerate(addresses):
        found, image = look(read, geometry, most, address)
        if image is None:
            reasons[i] = str(found)
        else:
            pixels[i] = image
    return pixels, reasons


_given: list[HowToDecode] = []
"""The arguments for decoding in a process, sent once."""


def _begin(*given: Any) -> None:
    start()
    _given.append(given)


def _here(addresses: list[str]) -> Decoded:
    return _decoded(*_given[0], addresses)

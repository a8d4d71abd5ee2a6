"""Files of results, written in any order by any number of processes, and never twice."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from ddpm.system.errors import InputError
from ddpm.system.files import write_file

T = TypeVar("T")
"""The content of a file."""


@dataclass(frozen=True)
class Shards(Generic[T]):
    """The results for images 0 … n - 1, several images per file.

    Attributes:
        size: the number of images per file.
        name: the format of a file name, from its number ``k`` and the ``start`` and ``stop`` of its images.
        load: reads the file of these images; returns None if it is missing or damaged.
    """

    folder: Path
    n: int
    size: int
    name: str
    load: Callable[[Path, range], T | None]

    def __len__(self) -> int:
        return -(-self.n // self.size)

    def images(self, k: int) -> range:
        """The indices of the images in a file."""
        return range(k * self.size, min((k + 1) * self.size, self.n))

    def missing(self) -> list[int]:
        """The numbers of the files that are missing or damaged."""
        return [k for k in range(len(self)) if self.load(self._path(k), self.images(k)) is None]

    def write(self, k: int, data: bytes) -> None:
        """Write a file atomically.

        Raises:
            InputError: the file cannot be written.
        """
        write_file(self._path(k), data)

    def read(self, k: int) -> T:
        """Read a file.

        Raises:
            InputError: the file is missing or damaged.
        """
        found = self.load(self._path(k), self.images(k))
        if found is None:
            raise InputError("unreadable", f"{self._path(k)} is missing or damaged; re-run the same command")
        return found

    def _path(self, k: int) -> Path:
        images = self.images(k)
        return self.folder / self.name.format(k=k, start=images.start, stop=images.stop)

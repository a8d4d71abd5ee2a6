"""Files of results, made in any order by any number of processes, and never twice."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from ddpm.system.errors import InputError
from ddpm.system.files import write_file

T = TypeVar("T")
"""What a file holds."""


@dataclass(frozen=True)
class Shards(Generic[T]):
    """The results of images 0 … n - 1, some images a file.

    Attributes:
        size: images a file.
        name: of a file, made of its number ``k``, and of ``start`` and ``stop`` of its images.
        load: reads the file of these images; None where it is not there, or not what was written.
        full: whether the last file goes on beyond n, so that files do not depend on it.
    """

    folder: Path
    n: int
    size: int
    name: str
    load: Callable[[Path, range], T | None]
    full: bool = False

    def __len__(self) -> int:
        return -(-self.n // self.size)

    def images(self, k: int) -> range:
        """Numbers of the images of a file."""
        stop = (k + 1) * self.size
        return range(k * self.size, stop if self.full else min(stop, self.n))

    def missing(self) -> list[int]:
        """Numbers of the files that are still to be made, or again because they are damaged."""
        return [k for k in range(len(self)) if self.load(self._path(k), self.images(k)) is None]

    def write(self, k: int, data: bytes) -> None:
        """Keep a file, whole or not at all.

        Raises:
            InputError: the disk refuses.
        """
        write_file(self._path(k), data)

    def read(self, k: int) -> T:
        """What is in a file.

        Raises:
            InputError: it is not there, or not what was written.
        """
        found = self.load(self._path(k), self.images(k))
        if found is None:
            raise InputError("unreadable", f"{self._path(k)} was damaged or taken away; run the same command again")
        return found

    def _path(self, k: int) -> Path:
        images = self.images(k)
        return self.folder / self.name.format(k=k, start=images.start, stop=images.stop)

"""Columns of a data set: one value per image, looked up when asked for, so that none need be in memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias, overload

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Without:
    """0 … n - 1 without a few, in order: the i-th of the remaining numbers by a search among those left out.

    Attributes:
        left_out: (k,) int64, sorted and distinct.
    """

    n: int
    left_out: Ints

    def __len__(self) -> int:
        return self.n - len(self.left_out)

    def __getitem__(self, indices: Ints) -> Ints:
        # of those left out, the j-th has left_out[j] - j remaining numbers before it
        before = self.left_out - np.arange(len(self.left_out))
        return np.asarray(indices + np.searchsorted(before, indices, "right"), np.int64)

    def __iter__(self) -> Iterator[int]:
        return iter(np.asarray(self).tolist())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return self[np.arange(len(self))].astype(dtype or np.int64, copy=False)


@dataclass(frozen=True, eq=False)
class PickedInts:
    """The values of a column in some rows."""

    column: "IntColumn"
    rows: "IntColumn"

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, indices: Ints) -> Ints:
        return np.asarray(self.column[self.rows[indices]], np.int64)

    def __iter__(self) -> Iterator[int]:
        return iter(np.asarray(self).tolist())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return self[np.arange(len(self))].astype(dtype or np.int64, copy=False)


@dataclass(frozen=True)
class MappedInts:
    """One field of the records of a file, which each process maps.

    Attributes:
        kind: The type of a record.
    """

    path: Path
    kind: "np.dtype[Any]"
    field: str

    def __len__(self) -> int:
        return len(mapped(self.path, self.kind))

    def __getitem__(self, indices: Ints) -> Ints:
        return np.asarray(mapped(self.path, self.kind)[self.field][indices], np.int64)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return self[np.arange(len(self))].astype(dtype or np.int64, copy=False)

    def __iter__(self) -> Iterator[int]:
        return iter(np.asarray(self).tolist())


@lru_cache(maxsize=32)
def mapped(path: Path, kind: "np.dtype[Any]") -> npt.NDArray[Any]:
    """A file of records, mapped once by each process."""
    return np.memmap(path, kind, "r")


IntColumn: TypeAlias = Ints | Without | PickedInts | MappedInts
"""One integer per image: an array, which may be a mapped file, or what is computed from an index."""


@dataclass(frozen=True, eq=False)
class PickedStrings(Sequence[str]):
    """The strings of a column in some rows."""

    column: Sequence[str]
    rows: IntColumn

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...

    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self.column[int(self.rows[np.array([index % len(self)])][0])]

    def __iter__(self) -> Iterator[str]:
        return (self[i] for i in range(len(self)))


def picked_ints(column: IntColumn, rows: IntColumn) -> IntColumn:
    """The values in some rows: in memory if both are, else looked up when asked for."""
    if isinstance(column, np.ndarray) and isinstance(rows, np.ndarray):
        return np.asarray(column[rows], np.int64)
    return PickedInts(column, rows)


def picked_strings(column: Sequence[str], rows: IntColumn) -> Sequence[str]:
    """The strings in some rows: in memory if both are, else looked up when asked for."""
    if isinstance(column, tuple) and isinstance(rows, np.ndarray):
        return tuple(column[i] for i in rows)
    return PickedStrings(column, rows)

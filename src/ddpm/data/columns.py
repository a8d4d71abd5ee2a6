"""Columns of a data set: one value per image, looked up on demand, so that none needs to be in memory."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, overload

import numpy as np
import numpy.typing as npt

T = TypeVar("T")
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Without:
    """The numbers 0 … n - 1 without a few, in order; the i-th is found by a search among those left out.

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
"""One integer per image: an array, which may be a mapped file, or values computed from the index."""


@dataclass(frozen=True, eq=False)
class LazySequence(Sequence[T]):
    """A sequence whose values are made on demand.

    Attributes:
        length: The number of values.
        value: Makes the value at an index in 0 … length - 1. Picklable, so that any process can.
    """

    length: int
    value: Callable[[int], T]

    def __len__(self) -> int:
        return self.length

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...

    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        if isinstance(index, slice):
            return [self.value(i) for i in range(*index.indices(self.length))]
        if not -self.length <= index < self.length:
            raise IndexError(index)
        return self.value(index % self.length)


def picked_ints(column: IntColumn, rows: IntColumn) -> IntColumn:
    """The values in some rows: in memory if both are, else looked up on demand."""
    if isinstance(column, np.ndarray) and isinstance(rows, np.ndarray):
        return np.asarray(column[rows], np.int64)
    return PickedInts(column, rows)


def picked_strings(column: Sequence[str], rows: IntColumn) -> Sequence[str]:
    """The strings in some rows: in memory if both are, else looked up on demand."""
    if isinstance(column, tuple) and isinstance(rows, np.ndarray):
        return tuple(column[i] for i in rows)
    return LazySequence(len(rows), partial(_in_row, column, rows))


def _in_row(column: Sequence[str], rows: IntColumn, index: int) -> str:
    return column[int(rows[np.array([index])][0])]

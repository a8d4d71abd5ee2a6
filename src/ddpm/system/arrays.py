"""NumPy's files, of plain arrays only: nothing is unpickled, and sizes are known before anything is allocated."""

import math
import os
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from ddpm.system.files import open_regular

PLAIN = "?biufcSU"
"""The kinds of values whose size is known; not objects, which are pickles, nor records."""


class ArrayHeader(NamedTuple):
    """The properties of an array, by its file's header.

    Attributes:
        fortran: whether the first axis varies fastest.
    """

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        """The size of the values in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_npy(path: Path) -> npt.NDArray[Any]:
    """The array in an .npy file.

    Raises:
        OSError: it cannot be read, or is not a regular file.
        ValueError: it is damaged, or not of plain values.
    """
    with open_regular(path) as file, _damage():
        found = _header(file)
        if file.tell() + found.nbytes != os.fstat(file.fileno()).st_size:
            raise ValueError("its size is not that of its header")
        return _values(file, found)


class NpzArrays:
    """The arrays in an .npz file, which is open until the end of a ``with`` block.

    Attributes:
        names: those of the arrays.

    Raises:
        OSError: it cannot be read, or is not a regular file.
        ValueError: it is damaged, or no .npz.
    """

    names: tuple[str, ...]

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Self:
        with ExitStack() as stack, _damage():
            self._zip = stack.enter_context(zipfile.ZipFile(stack.enter_context(open_regular(self._path))))
            self.names = tuple(name.removesuffix(".npy") for name in self._zip.namelist())
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *raised: object) -> None:
        self._stack.close()

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def header(self, name: str) -> ArrayHeader | None:
        """The header of an array; None if there is none of this name.

        Raises:
            ValueError: it is damaged, or not of plain values.
        """
        if name not in self:
            return None
        with _damage(), self._zip.open(f"{name}.npy") as file:
            found = _header(file)
            if file.tell() + found.nbytes != self._zip.getinfo(f"{name}.npy").file_size:
                raise ValueError(f"the size of {name} is not that of its header")
        return found

    def read(self, name: str) -> npt.NDArray[Any]:
        """Read an array.

        Raises:
            ValueError: it is damaged.
        """
        with _damage(), self._zip.open(f"{name}.npy") as file:
            return _values(file, _header(file))


def _header(file: Any) -> ArrayHeader:
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"it has version {version[0]}.{version[1]} of the format")
    try:
        found = ArrayHeader(*read(file))
    except (MemoryError, RecursionError):  # of Python's parser
        raise ValueError("its header is too deeply nested") from None
    if found.dtype.kind not in PLAIN or found.dtype.subdtype is not None or not found.dtype.itemsize:
        raise ValueError(f"it holds values of type {found.dtype}, and only plain numbers and text are read")
    if any(type(n) is not int or n < 0 for n in found.shape):
        raise ValueError(f"it has the shape {found.shape}")
    return found


def _values(file: BinaryIO | Any, header: ArrayHeader) -> npt.NDArray[Any]:
    """The values after a header, read straight into the array."""
    whole = np.empty(math.prod(header.shape), header.dtype)
    view, at = whole.view(np.uint8), 0
    while at < len(view):
        part = np.frombuffer(file.read(min(len(view) - at, 1 << 24)), np.uint8)
        if not len(part):
            raise ValueError("it is cut off")
        view[at : at + len(part)] = part
        at += len(part)
    file.read(1)  # past the end, where an archive compares the checksum
    return whole.reshape(header.shape[::-1]).T if header.fortran else whole.reshape(header.shape)


@contextmanager
def _damage() -> Iterator[None]:
    """Turn what zipfile, zlib and NumPy raise for a damaged file, which are many types, into ValueError."""
    try:
        yield
    except (OSError, ValueError, MemoryError):
        raise
    except Exception as error:
        raise ValueError((str(error).splitlines() or [type(error).__name__])[0]) from error

"""Indices of the images of a seed."""

from collections.abc import Sequence

from ddpm.system.arguments import plain
from ddpm.system.errors import InputError
from ddpm.system.units import say_count


def chosen(indices: Sequence[int] | None, n: int) -> list[int]:
    """Return the indices of n images; 0 … n - 1 if None.

    Raises:
        InputError: the number of indices differs from n, or one is negative.
    """
    if indices is None:
        return list(range(n))
    indices = plain(indices)
    if not isinstance(indices, list | tuple | range) or not all(type(index) is int for index in indices):
        raise InputError("invalid", f"indices are {indices!r}; use a list of whole numbers")
    if len(indices) != n:
        raise InputError(
            "conflict", f"{say_count(len(indices), 'index', 'indices')} for {say_count(n, 'image')}; use one per image"
        )
    if min(indices, default=0) < 0:
        raise InputError("invalid", f"index {min(indices)} is negative; use at least 0")
    return list(indices)

"""Which images of a seed's set are made."""

from collections.abc import Sequence

from ddpm.system.errors import InputError
from ddpm.system.units import say_count


def chosen(indices: Sequence[int] | None, n: int) -> list[int]:
    """The indices of n images; 0 … n - 1 if None.

    Raises:
        InputError: not one for each image, or a negative one.
    """
    if indices is None:
        return list(range(n))
    if len(indices) != n:
        raise InputError(
            "invalid", f"{say_count(len(indices), 'index', 'indices')} for {say_count(n, 'image')}; give one each"
        )
    if min(indices, default=0) < 0:
        raise InputError("invalid", f"an index must be at least 0, not {min(indices)}")
    return list(indices)

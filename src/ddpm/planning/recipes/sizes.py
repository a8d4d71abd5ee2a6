"""The sizes of images that a U-Net can halve often enough."""

from typing import NoReturn

from ddpm.system.errors import InputError
from ddpm.system.ranges import nearest_multiple

COARSEST = 16
"""Maximum positions per side at the coarsest level; an oblong image may have as many in total as a square."""


def divides(size: tuple[int, int], factor: int) -> bool:
    """Whether a factor divides both sides of an image."""
    return all(n % factor == 0 for n in size)


def fits(size: tuple[int, int], factor: int) -> bool:
    """Whether the coarsest level of a U-Net may have this downsampling factor."""
    return divides(size, factor) and size[0] * size[1] <= (COARSEST * factor) ** 2


def refuse(size: tuple[int, int]) -> NoReturn:
    """Refuse a size that cannot be halved often enough.

    Raises:
        InputError: always, with the nearest size that can.
    """
    factor, nearest = 1, size
    while not fits(nearest, factor):
        factor *= 2
        nearest = nearest_multiple(size[0], factor), nearest_multiple(size[1], factor)
    raise InputError(
        "invalid",
        f"images of {size[0]} × {size[1]} cannot be halved often enough; "
        f"use --size {nearest[0]}x{nearest[1]}, the nearest size that can",
    )

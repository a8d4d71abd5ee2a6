"""Batches of images that are drawn together."""

from collections.abc import Callable, Hashable, Iterable
from math import ceil

from torch import nn

FEWEST = 16
"""The smallest batch in which the CPU's libraries compute each row independently of the others: for smaller ones they
use other algorithms for matrix products, whose rounding would make an image depend on its batch."""
LARGE = 10**11
"""The number of parameters times positions of x from which a CPU draws images one by one. At a third of that (Ho et
al.'s network for CIFAR-10), an image alone takes 1.4 to 1.6 times as long as one in a batch of 16."""


def filled(n: int, windows: int = 1) -> list[int]:
    """Positions 0 … n - 1, the last one repeated to fill up the smallest batch.

    Args:
        windows: the rows of a batch that each image is drawn in.
    """
    return [*range(n), *[n - 1] * (ceil(FEWEST / windows) - n if n else 0)]


def large(model: nn.Module, positions: int) -> bool:
    """Whether a CPU should draw images one by one, because filling a batch would cost more than it could save."""
    return sum(p.numel() for p in model.parameters()) * positions >= LARGE


def batches(kinds: Iterable[Hashable], most: Callable[[int], int]) -> list[list[int]]:
    """Group images of the same kind into batches, as lists of image numbers, ascending within a kind.

    Args:
        kinds: the kind of image 0, 1, …
        most: number of an image -> the maximum batch of its kind.
    """
    alike: dict[Hashable, list[int]] = {}
    for number, kind in enumerate(kinds):
        alike.setdefault(kind, []).append(number)
    return [
        members[first : first + most(members[0])]
        for members in alike.values()
        for first in range(0, len(members), most(members[0]))
    ]

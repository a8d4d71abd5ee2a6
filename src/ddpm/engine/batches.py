"""Batches of images that are drawn together."""

from collections.abc import Callable, Hashable, Iterable


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

"""Images that are drawn together, and how the steps of their batches count."""

from collections.abc import Callable, Hashable, Iterable


def batches(kinds: Iterable[Hashable], most: Callable[[int], int]) -> list[list[int]]:
    """Images by number, those of one kind together wherever they are: every number once, in rising order of a kind.

    Args:
        kinds: of image 0, 1, …
        most: number of an image -> how many of its kind are drawn at a time.
    """
    alike: dict[Hashable, list[int]] = {}
    for number, kind in enumerate(kinds):
        alike.setdefault(kind, []).append(number)
    return [
        members[first : first + most(members[0])]
        for members in alike.values()
        for first in range(0, len(members), most(members[0]))
    ]

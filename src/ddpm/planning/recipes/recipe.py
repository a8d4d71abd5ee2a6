"""Recipes: functions from facts about the data to choices of network and training.

A recipe returns a ladder of rungs, smallest network first; the plan takes the largest that will see as many images
as it needs.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

Tree = dict[str, Any]
"""A part of a run's config, as plain values."""


class Rung(NamedTuple):
    """One choice of network and training.

    Attributes:
        needs: training images from which it is preferred to the rung below.
        tree: the part of the config that it sets.
    """

    needs: int
    tree: Tree


Recipe = Callable[[tuple[int, int], bool, str], list[Rung]]
"""(H, W) of the images, whether they have classes, and the kind of network -> rungs. If a
recipe has no numbers for that kind of network, only the other settings of its rungs apply."""

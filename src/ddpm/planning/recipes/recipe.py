"""What a recipe is: a function from facts about the data to choices of network and training.

A recipe returns a ladder of rungs, smallest network first; the plan takes the largest that will see as many images
as it needs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Tree = dict[str, Any]
"""A part of a run's config, as plain values."""


@dataclass(frozen=True)
class Facts:
    """The facts that a recipe may depend on.

    Attributes:
        size: (H, W).
        channels: channels of an image.
        classes: the number of classes; 0 if unconditional.
        images: the number of training images.
        device: "cpu", "cuda" or "mps".
    """

    size: tuple[int, int]
    channels: int
    classes: int
    images: int
    device: str


@dataclass(frozen=True)
class Rung:
    """One choice of network and training.

    Attributes:
        needs: training images from which it beats the rung below.
        tree: the part of the config that it sets.
    """

    needs: int
    tree: Tree


Recipe = Callable[[Facts], list[Rung]]

"""Named starting points: functions of what is known before training.

A recipe is a ladder of rungs, the smallest network first; the plan takes the largest that will see as many images as
it needs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Tree = dict[str, Any]
"""Part of a run's config, as plain values."""


@dataclass(frozen=True)
class Facts:
    """What a recipe may depend on.

    Attributes:
        size: (H, W).
        channels: of an image.
        classes: number of classes to be told apart; 0 for none.
        images: trained on.
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
        needs: images it has to see before it is worth its cost.
        tree: its part of the config.
    """

    needs: int
    tree: Tree


Recipe = Callable[[Facts], list[Rung]]

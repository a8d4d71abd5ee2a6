"""What a user asks for, and what that means for the images."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ddpm.data.decode import Mode
from ddpm.data.survey import Survey
from ddpm.data.transform import Fit, Geometry

LARGEST = 128
"""Longest side that is trained on without being asked for."""


@dataclass(frozen=True)
class Request:
    """What a user asks of a run; None where the plan may choose.

    Attributes:
        data: a path, or "digits".
        seconds, images: the budget; at most one of them.
        size, mode, fit: what the images are brought to.
        skip_bad: whether to go on without images that cannot be read.
        labels: whether classes, where there are any, are learned.
        changes: dotted keys of the config and their values: {"training.batch": 64}.
    """

    data: str
    seconds: float | None = None
    images: int | None = None
    recipe: str = "auto"
    size: tuple[int, int] | None = None
    mode: Mode | None = None
    fit: Fit = "crop"
    skip_bad: bool = False
    labels: bool = True
    changes: Mapping[str, Any] = field(default_factory=dict)


def geometry(found: Survey, request: Request) -> Geometry:
    """What all images are brought to: what was asked, else what they are, if that can be trained.

    Raises:
        InputError: mixed modes without a choice.
    """
    return Geometry(request.size or _natural_size(found), found.mode(request.mode), request.fit)


def _natural_size(found: Survey) -> tuple[int, int]:
    if len(found.sizes) == 1:
        (height, width) = next(iter(found.sizes))
        longest = max(height, width)
        if longest <= LARGEST:
            return height, width
        h, w = (max(16, round(n * LARGEST / longest / 16) * 16) for n in (height, width))
        return h, w
    sides = sorted(min(size) for size, n in found.sizes.items() for _ in range(n))
    middle = sides[len(sides) // 2]
    side = next((s for s in (64, 32, 16) if s <= middle), 8)
    return side, side

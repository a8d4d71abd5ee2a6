"""Which levels a solver visits: a name, or the places themselves."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any, get_args

from pydantic import BeforeValidator

from ddpm.system.names import GridName

Places = tuple[float, ...]


def places(grid: object) -> Places | None:
    """The places of a list, or of a text such as "1000,700,99.5"; None of anything else.

    Raises:
        ValueError: they are no numbers, or do not fall.
    """
    words = grid.split(",") if isinstance(grid, str) and grid[:1].isdigit() else grid
    if not isinstance(words, list | tuple):
        return None
    try:
        numbers = tuple(map(float, words))
    except (TypeError, ValueError):
        raise ValueError(f"{grid!r} are no places; write them as 1000,700,400,100") from None
    if not numbers or any(not a > b for a, b in pairwise(numbers)) or not numbers[-1] >= 1:
        raise ValueError(f"the places of a grid must fall strictly, to 1 at the least, not {listing(numbers) or None}")
    return numbers


def listing(places: Sequence[float]) -> str:
    """Places as they are typed: "1000,700,99.5"."""
    return ",".join(f"{place!r}".removesuffix(".0") for place in places)


def _name_or_places(grid: Any) -> Any:
    if grid in get_args(GridName):
        return grid
    if (listed := places(grid)) is None:
        names = ", ".join(map(repr, get_args(GridName)))
        raise ValueError(f"must be {names} or places such as 1000,700,400,100, not {grid!r}")
    return listed


GridSetting = Annotated[GridName | Places, BeforeValidator(_name_or_places)]
"""A name, or falling places, which may also be given as a text of them."""

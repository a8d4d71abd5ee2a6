"""Which levels a solver visits: a name, or the timesteps themselves."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any, get_args

from pydantic import BeforeValidator

from ddpm.system.names import GridName

Timesteps = tuple[float, ...]


def timesteps(grid: object) -> Timesteps | None:
    """The timesteps of a list, or of a text such as "1000,700,99.5"; None of anything else.

    Raises:
        ValueError: they are no numbers, or do not fall.
    """
    words = grid.split(",") if isinstance(grid, str) and grid[:1].isdigit() else grid
    if not isinstance(words, list | tuple):
        return None
    try:
        numbers = tuple(map(float, words))
    except (TypeError, ValueError):
        raise ValueError(f"{grid!r} are no timesteps; write them as 1000,700,400,100") from None
    if not numbers or any(not a > b for a, b in pairwise(numbers)) or not numbers[-1] >= 1:
        raise ValueError(
            f"the timesteps of a grid must fall strictly, to 1 at the least, not {listing(numbers) or None}"
        )
    return numbers


def listing(timesteps: Sequence[float]) -> str:
    """Timesteps as they are typed: "1000,700,99.5"."""
    return ",".join(f"{timestep!r}".removesuffix(".0") for timestep in timesteps)


def _name_or_timesteps(grid: Any) -> Any:
    if grid in get_args(GridName):
        return grid
    if (listed := timesteps(grid)) is None:
        names = ", ".join(map(repr, get_args(GridName)))
        raise ValueError(f"must be {names} or timesteps such as 1000,700,400,100, not {grid!r}")
    return listed


GridSetting = Annotated[GridName | Timesteps, BeforeValidator(_name_or_timesteps)]
"""A name, or falling timesteps, which may also be given as a text of them."""

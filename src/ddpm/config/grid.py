"""The timesteps that a solver visits: a named grid, or a list."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any, get_args

from pydantic import BeforeValidator

from ddpm.system.names import GridName

Timesteps = tuple[float, ...]


def timesteps(grid: object) -> Timesteps | None:
    """The timesteps in a list, or in text such as "1000,700,99.5"; None for anything else.

    Raises:
        ValueError: if they are not numbers, or do not decrease.
    """
    words = grid.split(",") if isinstance(grid, str) and grid[:1].isdigit() else grid
    if not isinstance(words, list | tuple):
        return None
    try:
        numbers = tuple(map(float, words))
    except (TypeError, ValueError):
        raise ValueError(f"{grid!r} are not timesteps; write them as 1000,700,400,100") from None
    if not numbers or any(not a > b for a, b in pairwise(numbers)) or not numbers[-1] >= 1:
        raise ValueError(f"grid timesteps must decrease strictly and be at least 1, not {listing(numbers) or None}")
    return numbers


def listing(timesteps: Sequence[float]) -> str:
    """Timesteps in the form that users type: "1000,700,99.5"."""
    return ",".join(f"{timestep!r}".removesuffix(".0") for timestep in timesteps)


def _name_or_timesteps(grid: Any) -> Any:
    if grid in get_args(GridName):
        return grid
    if (listed := timesteps(grid)) is None:
        names = ", ".join(map(repr, get_args(GridName)))
        raise ValueError(f"must be {names} or timesteps such as 1000,700,400,100, not {grid!r}")
    return listed


GridSetting = Annotated[GridName | Timesteps, BeforeValidator(_name_or_timesteps)]
"""A named grid, or decreasing timesteps, which may also be given as text."""

"""Arguments of the Python interface, as people have them: numbers and arrays of NumPy and torch, and mistakes."""

import math
from collections.abc import Mapping
from typing import Any

from ddpm.system.errors import InputError

WHOLE = {"n", "seed", "batch", "stages", "steps", "left", "right", "top", "bottom", "probes", "terms"}
"""Arguments that are whole numbers, in every function that has them."""
NUMBERS = {"strength", "noise", "augment", "guidance", "tolerance", "start"}
"""Arguments that are numbers."""


def plain(value: Any) -> Any:
    """A value with the numbers, strings and arrays of NumPy and torch in it as Python's own, arrays as lists."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(plain, value)) if type(value) in (list, tuple) else value
    return value.tolist() if callable(getattr(value, "tolist", None)) else value


def checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments as :func:`plain` gives them, if those that are numbers are; None is not given.

    Raises:
        InputError: one is a bool, text, NaN, or has a fraction where there can be none.
    """
    found = {name: plain(value) for name, value in given.items()}
    for name, value in found.items():
        if value is None or name not in WHOLE | NUMBERS:
            continue
        if isinstance(value, float) and name in WHOLE and value.is_integer():
            found[name] = int(value)
        elif isinstance(value, bool) or not isinstance(value, int if name in WHOLE else int | float):
            what = "a whole number" if name in WHOLE else "a number"
            raise InputError("invalid", f"{name} is {value!r}; use {what}")
        elif math.isnan(value):
            raise InputError("invalid", f"{name} is {value}; use a finite number")
    return found

"""Several numbers in one flag, such as ``2-5`` or ``1,2,4``, and the multiples of a number."""

import re
from collections.abc import Iterable
from itertools import pairwise

from ddpm.system.errors import InputError


def whole_numbers(flag: str, text: str | int) -> tuple[int, ...]:
    """``4``, ``2-5`` or ``1,2,4`` as numbers, rising, each once.

    Raises:
        InputError: if it is none of these.
    """
    found: set[int] = set()
    for part in str(text).split(","):
        match = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if low > high:
            raise InputError("invalid", f"{flag} expects whole numbers, such as 4, 2-5 or 1,2,4, not {text}")
        found |= {*range(low, high + 1)}
    return tuple(sorted(found))


def span(flag: str, text: str | float) -> tuple[float, float]:
    """``2`` or ``1-5`` as the ends of an interval, which are equal for one number.

    Raises:
        InputError: if it is neither.
    """
    match = re.fullmatch(r"\s*(\d*\.?\d+)(?:-(\d*\.?\d+))?\s*", str(text))
    low, high = (float(match[1]), float(match[2] or match[1])) if match else (1.0, 0.0)
    if low > high:
        raise InputError("invalid", f"{flag} expects a number of at least 0, or two, such as 1-5, not {text}")
    return low, high


def nearest_multiple(n: float, divisor: int, least: int = 1) -> int:
    """The multiple of a divisor that is nearest to a number, and at least ``least`` times the divisor."""
    return max(least, round(n / divisor)) * divisor


def spelled(numbers: Iterable[int]) -> str:
    """Rising whole numbers as users type them: ``4``, ``2-5``, ``1,2,4``."""
    found = [*numbers]
    if len(found) > 1 and all(b == a + 1 for a, b in pairwise(found)):
        return f"{found[0]}-{found[-1]}"
    return ",".join(map(str, found))

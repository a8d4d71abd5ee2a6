"""Durations, counts and sizes as people write them."""

import math
import re
from collections.abc import Sequence

from ddpm.system.errors import InputError

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_COUNTS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9}


def duration(text: str) -> float:
    """``90s``, ``20m``, ``1h30m``, ``2d`` in seconds.

    Raises:
        InputError: if it is none of these.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd])", text.strip().lower())
    if not parts or "".join(n + unit for n, unit in parts) != text.strip().lower():
        raise InputError("invalid", f"{text!r} is not a duration; write it as 90s, 20m, 1h30m or 2d")
    seconds = sum(float(n) * _SECONDS[unit] for n, unit in parts)
    if not 0 < seconds < math.inf:
        raise InputError("invalid", f"{text!r} is not a positive, finite duration; write it as 90s, 20m, 1h30m or 2d")
    return seconds


def write_duration(seconds: float) -> str:
    """A duration as :func:`duration` reads it: ``90s`` as ``1m30s``."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return "".join(f"{n:.12g}{unit}" for n, unit in ((hours, "h"), (minutes, "m"), (rest, "s")) if n)


def count(text: str, what: str = "images") -> int:
    """``50000``, ``500k``, ``2M`` or ``1.5M``.

    Raises:
        InputError: if it is none of these, or below 1.
    """
    match = re.fullmatch(r"(\d[\d_,]*(?:\.\d+)?)([kmb]?)", text.strip().lower())
    number = float(re.sub("[_,]", "", match[1])) * _COUNTS[match[2]] if match else 0.0
    if not 0.5 <= number < 2**53:
        raise InputError("invalid", f"{text!r} is not a number of {what}; write it as 50000, 500k or 2M")
    return int(number + 0.5)


def size(text: str) -> tuple[int, int]:
    """``64`` or ``48x64`` (height × width) as (H, W).

    Raises:
        InputError: if it is neither.
    """
    match = re.fullmatch(r"(\d+)(?:[x×](\d+))?", text.strip().lower())
    found = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if min(found) < 1:
        raise InputError("invalid", f"{text!r} is not a size; write it as 64, or as height x width, such as 48x64")
    return found


def say_count(n: int, one: str, many: str | None = None) -> str:
    """A count with its noun: ``1 image``, ``3 images``."""
    return f"{n} {one if n == 1 else many or one + 's'}"


def say_some(words: Sequence[str], most: int = 3, separator: str = ", ", of: int | None = None) -> str:
    """The first words of a list, and how many more there are: ``a, b, c and 2 more``.

    Args:
        of: The number of words, if the list has only the first of them.
    """
    n = len(words) if of is None else of
    more = f" and {n - most:,} more" if n > most else ""
    return separator.join(words[:most]) + more


def say_seconds(seconds: float) -> str:
    """A readable duration: ``1 h 05 min``, ``3 min 20 s``, ``12 s``."""
    s = round(seconds)
    if s >= 3600:
        return f"{s // 3600} h {s % 3600 // 60:02d} min"
    return f"{s // 60} min {s % 60:02d} s" if s >= 60 else f"{s} s"


def say_bytes(n: float) -> str:
    """A readable amount of memory: ``1.4 GB``, ``35 MB``."""
    return f"{n / 1e9:.1f} GB" if n >= 1e9 else f"{n / 1e6:.0f} MB"

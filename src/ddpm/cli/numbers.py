"""Numbers as they are typed."""

from collections.abc import Sequence
from typing import Any, get_args

from cyclopts import CoercionError, Token, convert

from ddpm.system.errors import InputError


def exactly(kind: Any, tokens: Sequence[Token]) -> Any:
    """What a flag of some kind is given; a whole number is not rounded to.

    Raises:
        CoercionError: a fraction for a whole number, which :func:`cyclopts.convert` alone would round.
    """
    if int in (kind, *get_args(kind)):
        for token in tokens:
            if "." in token.value:
                raise CoercionError(token=token, target_type=int)
    return convert(kind, tokens)


def words(groups: Sequence[str] | None) -> list[str]:
    """What a flag was given, several times or with commas."""
    return [word.strip() for group in groups or [] for word in group.split(",") if word.strip()]


def integers(flag: str, groups: Sequence[str] | None, example: str) -> list[int]:
    """The whole numbers that a flag was given.

    Raises:
        InputError: something else.
    """
    found = words(groups)
    if not all(word.isdecimal() for word in found):
        raise InputError("invalid", f"{flag} expects integers, such as {example}, not {','.join(found)}")
    return [int(word) for word in found]


def decimals(flag: str, groups: Sequence[str] | None, example: str) -> list[float]:
    """The numbers from 0 on that a flag was given.

    Raises:
        InputError: something else.
    """
    found = words(groups)
    if not all(word.replace(".", "", 1).isdecimal() for word in found):
        raise InputError("invalid", f"{flag} expects numbers, such as {example}, not {','.join(found)}")
    return [float(word) for word in found]

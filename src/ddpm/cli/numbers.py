"""Numbers and lists typed on the command line."""

from collections.abc import Sequence
from typing import Any, get_args

from cyclopts import CoercionError, Token, convert

from ddpm.system.errors import InputError


def exactly(kind: Any, tokens: Sequence[Token]) -> Any:
    """Convert a flag's value to its type, without rounding fractions to integers.

    Raises:
        CoercionError: a fraction for an integer, which :func:`cyclopts.convert` alone would round.
    """
    if int in (kind, *get_args(kind)):
        for token in tokens:
            if "." in token.value:
                raise CoercionError(token=token, target_type=int)
    return convert(kind, tokens)


def words(flag: str, groups: Sequence[str] | None) -> list[str]:
    """The values of a flag that is repeated or separated by commas; none if it is not given.

    Raises:
        InputError: it is given without a value.
    """
    found = [word.strip() for group in groups or [] for word in group.split(",") if word.strip()]
    if groups and not found:
        raise InputError("invalid", f"{flag} has no value; give one or more, separated by commas, or drop it")
    return found


def integers(flag: str, groups: Sequence[str] | None, example: str) -> list[int]:
    """The integers given to a flag.

    Raises:
        InputError: something else.
    """
    found = words(flag, groups)
    if not all(word.isdecimal() for word in found):
        raise InputError("invalid", f"{flag} expects integers, such as {example}, not {','.join(found)}")
    return [int(word) for word in found]

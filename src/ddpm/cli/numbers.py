"""Numbers as they are typed."""

from collections.abc import Sequence
from typing import Any, get_args

from cyclopts import CoercionError, Token, convert


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

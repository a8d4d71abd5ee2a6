"""The grammar of prompts: ``(word:1.3)`` weights a part."""

import re
from itertools import groupby

from ddpm.system.errors import InputError

MOST = 10.0
"""The largest weight; the smallest is ``-MOST``."""

_SIGN = re.compile(r"\\[\\()]|\(|:\s*([-+]?(?:\d+\.?\d*|\.\d+))\s*\)|\)|[^\\():]+|[\\:]")
"""An escaped sign, "(", ": weight)", ")" or any other text."""


def parse(prompt: str) -> list[tuple[str, float]]:
    r"""Divide a prompt into parts and their weights.

    ``a (red:1.3) heart`` is ``[("a ", 1), ("red", 1.3), (" heart", 1)]``. Nested weights multiply. A parenthesis that
    does not end in a weight is text, and so is one written as ``\(`` or ``\)``; ``\\`` is a backslash.

    Raises:
        InputError: if a weight is beyond -10 … 10.
    """
    parts: list[tuple[str, float]] = []
    opened: list[int] = []  # the parts that are an open parenthesis
    for sign in _SIGN.finditer(prompt):
        text, weight = sign[0], sign[1]
        if weight is not None and opened:
            start = opened.pop()
            parts[start:] = [(part, outer * float(weight)) for part, outer in parts[start + 1 :]]
            _check(parts[start:])
            continue
        if text == "(":
            opened.append(len(parts))
        elif text.endswith(")") and text[0] != "\\" and opened:
            opened.pop()
        parts.append((text[1:] if len(text) == 2 and text[0] == "\\" else text, 1.0))
    return [("".join(text for text, _ in same), weight) for weight, same in groupby(parts, lambda part: part[1])]


def escape(text: str) -> str:
    """The prompt that reads as this text, whose parentheses are no weights."""
    return re.sub(r"[\\()]", r"\\\g<0>", text)


def _check(parts: list[tuple[str, float]]) -> None:
    for text, weight in parts:
        if abs(weight) > MOST:
            raise InputError(
                "invalid",
                f"the weight of {text.strip()!r} in the prompt is {weight:g}; use -{MOST:g} to {MOST:g}, "
                r"or write \( and \) for plain parentheses",
            )

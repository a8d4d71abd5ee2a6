"""Facts about a model that its file lacks, given as flags of the program that wrote it."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ddpm.system.errors import InputError
from ddpm.system.names import suggest

BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def parse_flags(text: str | None, known: Mapping[str, type]) -> dict[str, Any]:
    """The flags in a text, ``--num_heads 4 --class_cond=True``, by name with underscores.

    Args:
        known: the type of each flag: bool, int, float or str. A bool may stand without a value, for True.

    Raises:
        InputError: a flag is unknown or given twice, or its value has the wrong type.
    """
    try:
        words = shlex.split(text or "")
    except ValueError as error:
        raise InputError("invalid", f"--flags {text!r} cannot be read ({error}); check its quotation marks") from error
    found: dict[str, Any] = {}
    while words:
        word, equals, value = words.pop(0).partition("=")
        name = word.removeprefix("--").replace("-", "_")
        if not word.startswith("--"):
            raise InputError("invalid", f"--flags has {word!r}, which is not a flag; write it as --name value")
        if name not in known:
            raise InputError("unknown", f"--flags has an unknown --{name}{suggest(name, sorted(known))}")
        if name in found:
            raise InputError("invalid", f"--flags has --{name} twice; leave out one of them")
        if not equals:
            valued = bool(words) and not words[0].startswith("--")
            if not valued and known[name] is not bool:
                raise InputError("invalid", f"--flags has --{name} without a value; write it as --{name} value")
            value = words.pop(0) if valued else "true"
        found[name] = typed(name, value, known[name])
    return found


def refuse_flags(text: str | None, path: Path) -> None:
    """Refuse flags for a model whose files are complete.

    Raises:
        InputError: some are given.
    """
    if text is not None:
        raise InputError("conflict", f"--flags has no effect on {path}, whose files say everything; leave it out")


def typed(name: str, value: Any, kind: type) -> Any:
    """The value of a flag, from text or JSON.

    Raises:
        InputError: it has the wrong type.
    """
    try:
        return BOOLEANS[str(value).lower()] if kind is bool else _number(value, kind) if kind is not str else str(value)
    except (KeyError, ValueError, TypeError, OverflowError):
        wanted = {bool: "True or False", int: "an integer", float: "a number"}[kind]
        raise InputError("invalid", f"--flags has --{name} {value}; it must be {wanted}") from None


def _number(value: Any, kind: type) -> Any:
    if isinstance(value, bool) or (kind is int and isinstance(value, float)):
        raise ValueError(value)
    return kind(value)

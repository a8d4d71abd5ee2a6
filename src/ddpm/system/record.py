"""Trees of named values that refuse what they do not know."""

import re
from dataclasses import fields, is_dataclass
from types import NoneType
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from ddpm.system.names import nearest, suggest


class Strict(BaseModel):
    """Unknown keys are errors, and values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def explain(error: ValidationError, root: type) -> str:
    """The first problem of a pydantic error in one line; an unknown key or name with the nearest known one."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        *parents, key = (str(part) for part in first["loc"])
        return f"unknown key {place!r}{suggest(key, _names(_at(root, parents)))}"
    if first["type"] == "literal_error":
        word, known = first["input"], [name.strip("'") for name in re.split(", | or ", first["ctx"]["expected"])]
        return f"{place} {word!r} is unknown{nearest(str(word), known)}; it may be {', '.join(known)}"
    message = first["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message


def _at(root: type, parents: list[str]) -> type:
    for name in parents:
        if issubclass(root, BaseModel):
            found: Any = root.model_fields[name].annotation
            root = next((part for part in get_args(found) if part is not NoneType), found)  # of X | None, X
    return root


def _names(node: type) -> list[str]:
    if is_dataclass(node):
        return [f.name for f in fields(node)]
    return list(node.model_fields) if issubclass(node, BaseModel) else []

"""Trees of named values that refuse what they do not know, and how they are kept as files."""

import json
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType
from typing import Any, ClassVar, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from ddpm.system.errors import InputError
from ddpm.system.files import write_file
from ddpm.system.names import nearest, suggest

FORMAT: Literal[2] = 2
"""Raised when the files of before can no longer be read."""


class Strict(BaseModel):
    """Unknown keys are errors, and values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Record(Strict):
    """A tree that is kept as a file.

    Attributes:
        WRITER: the command that writes such files.
        format: of the file.
    """

    WRITER: ClassVar[str]
    format: Literal[2] = FORMAT

    @classmethod
    def parse(cls, tree: Mapping[str, Any], where: str = "the configuration") -> Self:
        """Validate a tree of plain values.

        Raises:
            InputError: an unknown key, with the nearest known one, or a value that is not allowed.
        """
        try:
            return cls.model_validate(tree)
        except ValidationError as e:
            raise InputError(f"{where}: {explain(e, cls)}") from e

    @classmethod
    def from_json(cls, data: str | bytes, where: str) -> Self:
        """Validate what :meth:`to_json` gave.

        Raises:
            InputError: it is no such record, of another format, or damaged.
        """
        try:
            tree = json.loads(data)
        except ValueError as e:
            raise InputError(f"{where} is damaged ({e}); write it again by `{cls.WRITER}`") from e
        if not isinstance(tree, dict) or "format" not in tree:
            raise InputError(f"{where} is not what `{cls.WRITER}` writes; give a file that it wrote")
        if tree["format"] != FORMAT:
            raise InputError(
                f"{where} has format {tree['format']}, and this version of ddpm reads format {FORMAT}; "
                f"write it again by `{cls.WRITER}`"
            )
        try:
            return cls.model_validate_json(data)
        except ValidationError as e:
            raise InputError(f"{where}: {explain(e, cls)}; write it again by `{cls.WRITER}`") from e

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file.

        Raises:
            InputError: there is none, it is no such record, of another format, or damaged.
        """
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise InputError(f"{path} does not exist; give a file that `{cls.WRITER}` wrote") from None
        except IsADirectoryError:
            raise InputError(f"{path} is a folder; give a file that `{cls.WRITER}` wrote") from None
        except OSError as e:
            raise InputError(f"{path} cannot be read ({e.strerror}); restore it from a copy") from e
        return cls.from_json(data, str(path))

    def to_json(self) -> str:
        """As it is written."""
        return self.model_dump_json(indent=2) + "\n"

    def write(self, path: Path) -> None:
        """Replace a file.

        Raises:
            InputError: the disk refuses.
        """
        write_file(path, self.to_json().encode())


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

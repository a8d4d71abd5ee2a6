"""Trees of named values that reject unknown keys, and their files."""

import json
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticSerializationError

from ddpm.system.errors import InputError
from ddpm.system.files import parse_json, read_file, write_file
from ddpm.system.names import nearest, suggest
from ddpm.system.tree import groups, hints, short

FORMAT: Literal[2] = 2
"""Incremented when older files can no longer be read."""


class Strict(BaseModel):
    """An immutable group of settings that rejects unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def model_dump_json(self, *, indent: int | None = None, **options: Any) -> str:
        """JSON, also of file names in another encoding, which UTF-8 holds escaped only."""
        try:
            return super().model_dump_json(indent=indent, **options)
        except PydanticSerializationError:
            return json.dumps(self.model_dump(**options), indent=indent)


class Record(Strict):
    """A tree of settings that is stored in a file.

    Attributes:
        WRITER: The command that writes such files.
        format: The version of the file format.
    """

    WRITER: ClassVar[str]
    format: Literal[2] = FORMAT

    @classmethod
    def parse(cls, tree: Mapping[str, Any], where: str = "the configuration") -> Self:
        """Validate a tree of plain values.

        Raises:
            InputError: if a key is unknown, with the nearest known one, or a value is not allowed.
        """
        try:
            return cls.model_validate(tree)
        except ValidationError as e:
            raise InputError("invalid", f"{where}: {explain(e, cls)}") from e

    @classmethod
    def from_json(cls, data: str | bytes, where: str) -> Self:
        """Parse and validate the output of :meth:`to_json`.

        Raises:
            InputError: if it is not such a record, has another format, or is damaged.
        """
        try:
            tree = parse_json(data)
        except ValueError as e:
            raise InputError("unreadable", f"{where} is damaged ({e}); run `{cls.WRITER}` again") from e
        if not isinstance(tree, dict) or "format" not in tree:
            raise InputError("unreadable", f"{where} was not written by `{cls.WRITER}`; use a file that was")
        if tree["format"] != FORMAT:
            raise InputError(
                "incompatible",
                f"{where} has format {tree['format']}, but this version of ddpm reads format {FORMAT}; "
                f"run `{cls.WRITER}` again",
            )
        try:
            return cls.model_validate(tree)
        except ValidationError as e:
            raise InputError("invalid", f"{where}: {explain(e, cls)}; run `{cls.WRITER}` again") from e

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file.

        Raises:
            InputError: if it does not exist, is not such a record, has another format, or is damaged.
        """
        try:
            data = read_file(path)
        except FileNotFoundError:
            raise InputError("missing", f"{path} does not exist; use a file written by `{cls.WRITER}`") from None
        except IsADirectoryError:
            raise InputError("unreadable", f"{path} is a folder; use a file written by `{cls.WRITER}`") from None
        except OSError as e:
            raise InputError("unreadable", f"cannot read {path} ({e.strerror}); restore it from a backup") from e
        return cls.from_json(data, str(path))

    @classmethod
    def read_if_present(cls, path: Path) -> Self | None:
        """Read a file; None if there is none, not even a link that leads nowhere.

        Raises:
            InputError: see :meth:`read`.
        """
        return cls.read(path) if os.path.lexists(path) else None

    def to_json(self) -> str:
        """The contents of the file."""
        return self.model_dump_json(indent=2) + "\n"

    def write(self, path: Path) -> None:
        """Write the record to a file, replacing it atomically.

        Raises:
            InputError: if the file cannot be written.
        """
        write_file(path, self.to_json().encode())


def bounds(low: float, high: float = math.inf, *, above: bool = False, below: bool = False) -> AfterValidator:
    """An annotation for a number, or None, that must lie in a range.

    Args:
        above, below: Whether to exclude the ends themselves; infinity is always excluded.
    """
    least = f"{'above' if above else 'at least'} {low:g}"
    most = f"{'below' if below else 'at most'} {high:g}"

    def check(value: Any) -> Any:
        if value is None:
            return None
        if (low < value if above else low <= value) and (value < high if below or high == math.inf else value <= high):
            return value
        if high == math.inf:
            allowed = least if isinstance(value, int) else f"{least} and finite"
        else:
            allowed = f"{least} and {most}" if above or below else f"between {low:g} and {high:g}"
        raise ValueError(f"must be {allowed}, not {value}")

    return AfterValidator(check)


def at_most(high: float, values: int | None = None) -> AfterValidator:
    """An annotation for a number, or several, with a limit that only damaged or senseless settings exceed.

    Args:
        values: the most numbers of several.
    """

    def check(value: Any) -> Any:
        if values is not None and value is not None and len(value) > values:
            raise ValueError(f"must have at most {values} values, not {len(value)}")
        for number in () if value is None else value if isinstance(value, tuple) else (value,):
            if not number <= high:
                raise ValueError(f"must be at most {high:,}, not {number}")
        return value

    return AfterValidator(check)


def finite(value: Any) -> Any:
    """A validator of numbers, or None, that refuses infinity and NaN."""
    for number in () if value is None else value if isinstance(value, tuple | list) else (value,):
        if not math.isfinite(number):
            raise ValueError(f"must be finite, not {number}")
    return value


def explain(error: ValidationError, root: type, named: Callable[[tuple[str, ...]], str] = ".".join) -> str:
    """The first problem of a pydantic error in one line, with the nearest known name for an unknown one.

    ``named`` names a value by its path in the tree.
    """
    first = error.errors()[0]
    loc = tuple(map(str, first["loc"]))
    path, hint, tag = _followed(root, loc)
    place, kind = named(path), first["type"]
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        return _unknown((*path, loc[-1]), hint, tag, named)
    if kind in ("literal_error", "union_tag_invalid"):
        context = first["ctx"]
        word, listed = context.get("tag", first["input"]), context.get("expected_tags") or context["expected"]
        if kind == "union_tag_invalid":
            place = place or named((*path, context["discriminator"].strip("'")))
        known = [name.strip("'") for name in re.split(", | or ", listed)]
        return f"{place} {word!r} is unknown{nearest(str(word), known)}; choose from {', '.join(known)}"
    message = first["msg"].removeprefix("Value error, ")
    if not place or message.startswith("must "):
        return f"{place} {message}".strip()
    return f"{place}: {message}"


def _followed(root: type, loc: Sequence[str]) -> tuple[tuple[str, ...], Any, str | None]:
    """The location of a problem: the fields down to it, the type of the last, and the tag of its chosen group.

    Pydantic's locations mix the names of union members with those of the fields.
    """
    path: list[str] = []
    hint: Any = root
    group, tag = groups(root), None
    for part in loc:
        found = next((hints(one)[part] for one in group if part in hints(one)), None)
        if found is not None:
            path.append(part)
            hint, group, tag = found, groups(found), None
        elif (mark := short(hint)) is not None:
            for member, names in mark.tags(groups(hint)).items():
                if part in names:
                    group, tag = (member,), part
    return tuple(path), hint, tag


def _unknown(path: tuple[str, ...], hint: Any, tag: str | None, named: Callable[[tuple[str, ...]], str]) -> str:
    """The message for a key that a group lacks, naming any other group of the same field that has it."""
    members, mark, key = groups(hint), short(hint), path[-1]
    having = [member for member in members if key in hints(member)]
    if mark is not None and tag is not None and having:
        kind = f"{path[-2]} " if mark.key == "kind" else ""
        of = " and ".join(kind + name for member in having for name in mark.tags(members)[member])
        return f"{named(path)} is an option of {of}, not of {kind}{tag}"
    known = [name for member in members for name in hints(member)]
    return f"unknown key {'.'.join(path)!r}{suggest(key, known)}"

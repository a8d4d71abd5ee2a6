"""Captions, from a .txt file next to each image or from a metadata table."""

import csv
import json
import posixpath
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from io import StringIO

from ddpm.data.source import Read
from ddpm.images.decode import BadImage
from ddpm.system.errors import InputError

TABLES = ("metadata.csv", "metadata.jsonl")
COLUMNS = ("text", "caption")


def match_captions(
    images: list[str], others: list[str], read: Read
) -> tuple[dict[str, str], tuple[str, ...], tuple[str, ...]]:
    """Find the caption of each image.

    Tables name the image in ``file_name``, relative to their own folder, and the caption in ``text`` or ``caption``.
    A .txt with the image's name takes precedence over a table row. Empty captions count as none.

    Args:
        images: The names of the images.
        others: The names of the other files.

    Returns:
        Captions by image name, captions without an image, and files without captions.

    Raises:
        InputError: if a table is not UTF-8, lacks its columns, or has a line that is not JSON.
    """
    # Typed names and file-system names may encode the same letter differently.
    normal = partial(unicodedata.normalize, "NFC")
    known = {normal(name): name for name in images}
    stems = {posixpath.splitext(name)[0]: name for name in images}
    texts: dict[str, str] = {}
    orphans: list[str] = []
    tables = [name for name in others if posixpath.basename(name) in TABLES]
    beside = [name for name in others if name.lower().endswith(".txt")]
    for table in tables:
        for file_name, text in _rows(table, _text(read, table)):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(table), file_name.replace("\\", "/")))
            image = known.get(normal(path))
            if image is None:
                orphans.append(f"{table}: {file_name}")
            else:
                texts[image] = text
    for name in beside:
        image = stems.get(posixpath.splitext(name)[0])
        if image is None:
            orphans.append(name)
        else:
            texts[image] = _text(read, name).strip()
    used = {*tables, *beside}
    ignored = tuple(name for name in others if name not in used)
    return {name: text for name, text in texts.items() if text}, tuple(orphans), ignored


def _rows(table: str, content: str) -> Iterator[tuple[str, str]]:
    """(file_name, caption) of each row."""
    lines = StringIO(content, newline="")  # unlike str.splitlines, splits at line ends only
    rows: Iterable[Mapping[str, object]]
    rows = csv.DictReader(lines) if table.endswith(".csv") else _json_rows(table, lines)
    try:
        for row in rows:
            column = next((name for name in COLUMNS if name in row), None)
            if column is None or "file_name" not in row:
                has = ", ".join(map(str, row))
                raise InputError(
                    "invalid",
                    f"{table} has the columns {has}; name them file_name and text, or rename the "
                    "file if it does not hold captions",
                )
            yield str(row["file_name"] or ""), str(row[column] or "").strip()
    except csv.Error as error:
        raise InputError("unreadable", f"{table} is not a readable .csv ({error}); save it again") from error


def _json_rows(table: str, lines: Iterable[str]) -> Iterator[Mapping[str, object]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise InputError(
                "unreadable", f"{table}, line {number} is not a JSON object; use one per line, with file_name and text"
            )
        yield row


def _text(read: Read, name: str) -> str:
    try:
        return bytes(read(name)).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("unreadable", f"{name} is not UTF-8 text; save it as UTF-8") from None
    except (OSError, BadImage) as error:
        raise InputError(
            "unreadable", f"cannot read the captions in {name} ({error}); fix the file, or move it away"
        ) from error

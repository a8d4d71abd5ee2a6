"""Captions, from a .txt file next to each image or from a metadata table."""

import csv
import posixpath
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE, getincrementaldecoder
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import BytesIO, TextIOWrapper
from itertools import chain, count, islice
from typing import Any

import numpy as np

from ddpm.data.source import Read
from ddpm.images.decode import BadImage
from ddpm.system.errors import InputError
from ddpm.system.filenames import nfc
from ddpm.system.files import parse_json
from ddpm.system.pointers import pointer

TABLES = ("metadata.csv", "metadata.jsonl")
COLUMNS = ("text", "caption")
SHOWN = 2**14
"""The number of images whose captions are searched for one to show."""
END = ("\n", "\0")
"""Lines added to those of a .csv: the last is a row of its own unless a quote is open. No text has a NUL."""
UNPRINTABLE = re.compile("[\0\ud800-\udfff]+")
"""Halves of surrogate pairs, which JSON can hold but no encoding can; and NUL."""

LONGEST_LINE = 1 << 20
"""The longest line of a text or a table, in characters."""
PART = 1 << 24
"""The number of bytes decoded at a time."""

Captions = Sequence[str | Sequence[str] | None]
"""A caption, a list of several, or None for each image."""

TableRow = tuple[int, str, list[str]]
"""The number of a line in a table, the name of an image, and its captions."""


def match_captions(
    images: list[str], others: list[str], read: Read
) -> tuple[dict[str, str], tuple[str, ...], tuple[str, ...]]:
    """Find the captions of each image; see :func:`one_string`.

    Tables name the image in ``file_name``, relative to their own folder, and the caption in ``text`` or ``caption``,
    in JSON also a list of captions. Rows that repeat a name add captions. A .txt with the name of one or more images
    takes precedence over table rows; each of its lines is a caption. Empty captions count as none.

    Args:
        images: The names of the images.
        others: The names of the other files.

    Returns:
        Captions by image name, captions without an image, and files without captions.

    Raises:
        InputError: if a file is not UTF-8 text, or a table lacks its columns or is malformed.
    """
    # Typed names and file-system names may encode the same letter differently.
    known = {nfc(name): name for name in images}
    stems: dict[str, list[str]] = {}
    for name in known:
        stems.setdefault(posixpath.splitext(name)[0], []).append(known[name])
    texts: dict[str, list[str]] = {}
    orphans: list[str] = []
    tables = [name for name in others if posixpath.basename(name) in TABLES]
    beside = [name for name in others if name.lower().endswith(".txt")]
    for table in tables:
        rows = _csv_rows if table.endswith(".csv") else _json_rows
        for line, file_name, captions in rows(table, _lines(read, table)):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(table), file_name.replace("\\", "/")))
            image = known.get(nfc(path))
            if image is not None:
                texts.setdefault(image, []).extend(captions)
            elif file_name or any(captions):
                orphans.append(f"{table}: {file_name or f'line {line}'}")
    for name in beside:
        captioned = stems.get(posixpath.splitext(nfc(name))[0], [])
        if not captioned:
            orphans.append(name)
        elif own := one_string(_lines(read, name)):
            texts |= {image: own.split("\n") for image in captioned}
    used = {*tables, *beside}
    ignored = tuple(name for name in others if name not in used)
    found = ((name, one_string(captions)) for name, captions in texts.items())
    return {name: text for name, text in found if text}, tuple(orphans), ignored


def one_string(captions: Iterable[str]) -> str:
    """The captions of an image as the lines of one string, each once and on one line; "" if all are empty."""
    lines = (" ".join(UNPRINTABLE.sub(" ", caption).split()) for caption in captions)
    return "\n".join(dict.fromkeys(line for line in lines if line))


def strings_of(captions: Captions | None, n: int, where: str) -> tuple[str, ...] | None:
    """The captions of each image as one string; see :func:`one_string`. None if no image has any.

    Raises:
        InputError: if there are not n, or something other than strings is among them.
    """
    if captions is None:
        return None
    if isinstance(captions, str) or len(captions) != n:
        found = "one string" if isinstance(captions, str) else f"{len(captions):,}"
        raise InputError("invalid", f"the captions of {where} are {found}; use a list of {n:,}, one per image")
    several: list[list[Any]]
    several = [list(each) if isinstance(each, list | tuple | np.ndarray) else [each] for each in captions]
    if odd := [text for text in chain(*several) if not isinstance(text, str | None)]:
        raise InputError(
            "invalid", f"the captions of {where} include {odd[0]!r}; use a string or a list of strings per image"
        )
    strings = tuple(one_string(text for text in each if text) for each in several)
    return strings if any(strings) else None


def example(captions: Iterable[str], most: int = 40) -> str | None:
    """A caption to show: the first of at most this many characters, or else the first; None if the first images have
    none."""
    found = [caption.split("\n")[0] for caption in islice(captions, SHOWN) if caption]
    return next((caption for caption in found if len(caption) <= most), found[0] if found else None)


def _csv_rows(table: str, lines: Iterable[str]) -> Iterator[TableRow]:
    reader, began = csv.reader(chain(lines, END)), 1
    names = list[str]()
    try:
        for cells in reader:
            if cells == [END[-1]]:
                return
            if cells and cells[-1].endswith(END[-1]):
                raise InputError(
                    "unreadable", f"{table}, line {began} begins a row with a quote that is never closed; close it"
                )
            if not names:
                names = [cell.strip() for cell in cells]
                if names and (_column(names) is None or "file_name" not in names):
                    raise _without_columns(table, names)
            elif any(cells[len(names) :]):
                raise InputError(
                    "invalid",
                    f"{table}, line {began} has {len(cells)} cells, but the header has {len(names)}; put captions "
                    "that contain commas in double quotes",
                )
            else:
                row = dict(zip(names, cells, strict=False))
                yield (
                    began,
                    row.get("file_name", ""),
                    [next((row[name] for name in COLUMNS if row.get(name, "").strip()), "")],
                )
            began = reader.line_num + 1
    except csv.Error as error:
        raise InputError(
            "unreadable",
            f"{table}, line {began} begins a row that is not readable ({error}); check that its quotes are closed",
        ) from error


def _json_rows(table: str, lines: Iterable[str]) -> Iterator[TableRow]:
    first, captioned = list[str](), False
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = parse_json(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise InputError(
                "unreadable", f"{table}, line {number} is not a JSON object; use one per line, with file_name and text"
            )
        if "file_name" not in row:
            raise _without_columns(table, row)
        first = first or list(row)
        captioned = captioned or _column(row) is not None
        captions = captions_in(row, f"{table}, line {number}")
        name = row["file_name"]
        if not isinstance(name, str | int | float | None):
            raise InputError("invalid", f"{table}, line {number}: file_name must be a string")
        yield number, str(name or ""), captions
    if first and not captioned:
        raise _without_columns(table, first)


def captions_in(row: Mapping[str, Any], where: str) -> list[str]:
    """The captions of a JSON object: those of the first of its columns that has any.

    Raises:
        InputError: if they are neither a string nor a list of strings.
    """
    for column in COLUMNS:
        value = row.get(column)
        captions = value if isinstance(value, list) else [value]
        if not all(caption is None or isinstance(caption, str | int | float) for caption in captions):
            raise InputError("invalid", f"{where}: {column} must be a string or a list of strings")
        if one_string(found := [str(caption) for caption in captions if caption is not None]):
            return found
    return []


def _column(names: Iterable[str]) -> str | None:
    """The name of the column of captions."""
    return next((name for name in COLUMNS if name in names), None)


def _without_columns(table: str, names: Iterable[str]) -> InputError:
    return InputError(
        "invalid",
        f"{table} has the columns {', '.join(names)}; name them file_name and text and separate cells by commas, or "
        "rename the file if it does not hold captions",
    )


def _lines(read: Read, name: str) -> Iterator[str]:
    """The lines of a text; see :func:`lines_of`."""
    try:
        content = bytes(read(name))
    except (OSError, BadImage) as error:
        raise InputError(
            "unreadable", f"cannot read the captions in {name} ({error}); fix the file, or move it away"
        ) from error
    return lines_of(content, name)


def lines_of(content: bytes, name: str) -> Iterator[str]:
    """The lines of a text, which end in \\n, \\r\\n or \\r; decoded one by one, as tables can be large.

    Raises:
        InputError: if it is not UTF-8 text, or a pointer to another file, or a line is too long.
    """
    check_text(content, name)
    text = TextIOWrapper(BytesIO(content), "utf-8-sig", newline="")
    for number in count(1):
        row = text.readline(LONGEST_LINE)
        if not row:
            return
        if len(row) == LONGEST_LINE:
            raise InputError(
                "unreadable",
                f"{name}, line {number} has more than {LONGEST_LINE:,} characters, too many for a caption; use one "
                "line per caption",
            )
        yield row


def check_text(content: bytes, name: str) -> None:
    """Check that this is UTF-8 text.

    Raises:
        InputError: if it is not, or a pointer to another file.
    """
    if kind := pointer(content):
        raise InputError("missing", f"{name} is {kind}")
    flaw = content.find(b"\0")
    if (broken := _undecodable(content)) is not None:
        flaw = broken
    if flaw >= 0:
        line = 1 + len(re.findall(rb"\r\n?|\n", content[:flaw]))
        wide = b"\0" in content or content.startswith((BOM_UTF16_LE, BOM_UTF16_BE))
        raise InputError(
            "unreadable",
            f"{name} is not UTF-8 text: byte 0x{content[flaw]:02x} at offset {flaw}, in line {line}; convert it, for "
            f"example by iconv -f {'utf-16' if wide else 'latin1'} -t utf-8, or correct that line",
        )


def _undecodable(content: bytes) -> int | None:
    """The offset of the first byte that is not UTF-8; found in parts, as the whole text may not fit in memory."""
    decoder = getincrementaldecoder("utf-8")()
    for start in range(0, len(content) + 1, PART):
        before = len(decoder.getstate()[0])
        try:
            decoder.decode(content[start : start + PART], final=start + PART > len(content))
        except UnicodeDecodeError as error:
            return start - before + error.start
    return None

"""Images in Parquet files, in the layout of Hugging Face's datasets."""

import json
from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from ddpm.data.captions import COLUMNS
from ddpm.data.entries import Entry, Ignored, captions_of
from ddpm.data.index import extent
from ddpm.data.locations import opened
from ddpm.images.decode import BadImage
from ddpm.system.errors import InputError

PICTURES, LABELS = ("image", "img", "jpg", "png"), ("label", "labels", "cls", "fine_label")
"""Names of the columns of images and of labels, the preferred ones first."""
GROUPS = 4
"""The row groups that a process keeps in memory."""

Parquet = Any
"""pyarrow's ParquetFile."""

_lock = Lock()


def scan_parquet(location: str, ignored: Ignored) -> Iterator[Entry]:
    """The images of a Parquet file, found by its other columns.

    Images are in a column ``image`` (or img, jpg, png) of bytes, or of structs with ``bytes`` and ``path``; labels in
    ``label``, named by the ClassLabel of Hugging Face's metadata if there is one; captions in ``text`` or ``caption``.

    Raises:
        InputError: if it is not a Parquet file, or has no such column.
    """
    file = _open(location)
    schema = file.schema_arrow
    picture = _picture(schema, location)
    label = next((name for name in LABELS if name in schema.names), None)
    caption = next((name for name in COLUMNS if name in schema.names), None)
    names, row = _class_names(schema, label), 0
    stamp = repr([_stamp(file.metadata.row_group(g)) for g in range(file.metadata.num_row_groups)])
    for group in range(file.num_row_groups):
        wanted = [name for name in (label, caption) if name is not None]
        n = file.metadata.row_group(group).num_rows
        size = file.metadata.row_group(group).total_byte_size // max(1, n)
        try:
            found = _row_group(file, group, wanted).to_pydict() if wanted else {}
        except BadImage as error:
            raise InputError("unreadable", f"{location}: {error}; write or download it again") from error
        for i in range(n):
            number = found[label][i] if label is not None else None
            known = names and isinstance(number, int) and 0 <= number < len(names)
            text = None if number is None else names[number] if known else str(number)
            words = captions_of(found[caption][i]) if caption is not None else ""
            yield Entry(f"{row}", row, size, text, words, stamp if row == 0 else "")
            row += 1
    for name in schema.names:
        if name not in (picture, label, caption):
            ignored(f"column {name}")


def read_parquet(folder: Path, address: str) -> bytes:
    """The file of an image in a Parquet file, whose row group is read whole, and kept for its neighbours."""
    found = extent(folder, int(address))
    starts = _starts(folder, found.location)
    group = int(np.searchsorted(starts, found.offset, "right")) - 1
    value = _column(folder, found.location, group)[found.offset - int(starts[group])].as_py()
    data = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(data, bytes):
        raise BadImage("no bytes, but a path" if isinstance(value, dict) and value.get("path") else "an empty cell")
    return data


@lru_cache(maxsize=16)
def _kept(folder: Path, location: str) -> Parquet:
    """A file, kept open with its index; a file that takes its place has an index in another folder."""
    return _open(location)


def _open(location: str) -> Parquet:
    try:
        import pyarrow.parquet as pq
    except ImportError:
        raise InputError(
            "missing", "Parquet files require pyarrow, which is not installed; run pip install 'ddpm[parquet]'"
        ) from None
    try:
        return pq.ParquetFile(opened(location))
    except (OSError, ValueError) as error:  # ArrowInvalid is a ValueError
        raise InputError(
            "unreadable",
            f"{location} is not a readable Parquet file ({_first_line(error)}); write or download it again",
        ) from error


@lru_cache(maxsize=1024)
def _starts(folder: Path, location: str) -> Any:
    """The row at which each row group of a file starts."""
    metadata = _kept(folder, location).metadata
    return np.cumsum([0, *(metadata.row_group(g).num_rows for g in range(metadata.num_row_groups))])


@lru_cache(maxsize=GROUPS)
def _column(folder: Path, location: str, group: int) -> Any:
    """The images of a row group, as pyarrow's column."""
    with _lock:  # a ParquetFile is not safe to share
        file = _kept(folder, location)
        return _row_group(file, group, [_picture(file.schema_arrow, location)]).column(0)


def _row_group(file: Parquet, group: int, columns: list[str]) -> Any:
    """Some columns of a row group, as pyarrow's table.

    Raises:
        BadImage: if they are damaged.
        OSError: if the disk or the network fails.
    """
    try:
        return file.read_row_group(group, columns=columns)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise BadImage(f"row group {group} cannot be read ({_first_line(error)})") from error


def _first_line(error: Exception) -> str:
    """The first line of an error of pyarrow."""
    return (str(error) or type(error).__name__).splitlines()[0]


def _stamp(group: Any) -> list[Any]:
    """A fingerprint of the contents of a row group by its metadata: sizes, and the smallest and largest values."""
    columns = [group.column(i) for i in range(group.num_columns)]
    known = (c.statistics for c in columns if c.is_stats_set and c.statistics.has_min_max)
    extremes = sha256(repr([(each.min_raw, each.max_raw) for each in known]).encode()).hexdigest()
    return [group.total_byte_size, [column.total_compressed_size for column in columns], extremes]


def _picture(schema: Any, location: str) -> str:
    name = next((name for name in PICTURES if name in schema.names), None)
    kind = "" if name is None else str(schema.field(name).type)
    if name is None or not (kind in ("binary", "large_binary") or "bytes: binary" in kind):
        raise InputError(
            "invalid",
            f"{location} has no column 'image' of encoded images (found: {', '.join(schema.names)}); name it image, of "
            "bytes or of structs with bytes and path",
        )
    return name


def _class_names(schema: Any, label: str | None) -> list[str]:
    """The names of the numbers of a ClassLabel; none without one."""
    try:
        features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        return [str(name) for name in features[label]["names"]]
    except (KeyError, TypeError, ValueError):
        return []

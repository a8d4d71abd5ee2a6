"""The entry of an image in a file of many: its place, name, label and captions."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from ddpm.data.captions import check_text, one_string

LABELS = ("cls", "label", "class")
"""Keys of a label in a .json."""


class Entry(NamedTuple):
    """One image in a file of many.

    Attributes:
        name: Its name in the file.
        offset, size: The place of its bytes; or, in a Parquet file, its row and 0.
        label: The name or the number of its class; None if none is given.
        caption: Its captions as one string, "" if there is none.
        stamp: A value that changes with its content, as far as that is known without reading it.
    """

    name: str
    offset: int
    size: int
    label: str | None
    caption: str
    stamp: str


Ignored = Callable[[str], None]
"""Called with the name of each file that is neither an image nor belongs to one."""

Scan = Callable[[str, Ignored], Iterator[Entry]]
"""The images of a file at a location, in order. Raises InputError if it cannot be read."""


def captions_of(value: Any) -> str:
    """The captions in a value: a string, or a list of strings."""
    values = value if isinstance(value, list | tuple) else [value]
    return one_string(str(text) for text in values if text is not None)


def from_json(content: bytes, name: str) -> Mapping[str, Any]:
    """The object in the .json of an image; an empty one if it is none, or not JSON.

    Raises:
        InputError: if it is not UTF-8 text.
    """
    check_text(content, name)
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, Mapping) else {}


def label_in(found: Mapping[str, Any]) -> str | None:
    """The label in the .json of an image; None without one."""
    labels = (found[key] for key in LABELS if isinstance(found.get(key), str | int))
    label = next(labels, None)
    return None if label is None else str(label).strip()

"""An index of images in large files: the place, the class and the texts of each, in memory-mapped files.

For each image, ``images.bin`` has 16 bytes, and ``ends.u8`` has 8: the end of its name and captions in ``texts.bin``.
"""

import json
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ddpm.data.columns import Ints, LazySequence, MappedInts, mapped
from ddpm.data.source import ImageColumns

IMAGE = np.dtype([("offset", "<u8"), ("size", "<u4"), ("label", "<i4")])
END, BYTE = np.dtype("<u8"), np.dtype("u1")
IMAGES, ENDS, TEXTS, FACTS = "images.bin", "ends.u8", "texts.bin", "index.json"


class Facts(NamedTuple):
    """The facts of an index about all images.

    Attributes:
        locations: The files.
        starts: The number of the first image of each file, and last the number of images.
        classes: The name of each label; empty without classes.
        captioned: Whether any image has a caption.
        ignored: The names of some files in the files that are neither images nor captions.
        digest: A hash of all entries.
        size: The bytes of all images.
    """

    locations: tuple[str, ...]
    starts: Ints
    classes: tuple[str, ...]
    captioned: bool
    ignored: tuple[str, ...]
    digest: str
    size: int

    def file_of(self, number: int) -> int:
        """The number of the file that holds an image."""
        return int(np.searchsorted(self.starts, number, "right")) - 1


class Extent(NamedTuple):
    """The location of an image: a file, the offset in it, and the number of bytes."""

    location: str
    offset: int
    size: int


@lru_cache(maxsize=8)
def facts(folder: Path) -> Facts:
    """The facts of a complete index, read once by each process."""
    found: dict[str, Any] = json.loads((folder / FACTS).read_bytes())
    lists = {name: tuple(found[name]) for name in ("locations", "classes", "ignored")}
    return Facts(**found | lists | {"starts": np.array(found["starts"], np.int64)})


def complete(folder: Path) -> bool:
    """Whether all files of an index are there in their full lengths."""
    sizes = {name: path.stat().st_size for name in (IMAGES, ENDS, TEXTS) if (path := folder / name).is_file()}
    try:
        n, last = int(facts(folder).starts[-1]), 0
        if n:  # without a map, as the file may be truncated
            last = int(np.fromfile(folder / ENDS, END, offset=END.itemsize * (n - 1))[0])
    except (OSError, ValueError, LookupError, TypeError):
        n = last = -1
    if sizes == {IMAGES: n * IMAGE.itemsize, ENDS: n * END.itemsize, TEXTS: last}:
        return True
    facts.cache_clear()
    mapped.cache_clear()
    return False


def extent(folder: Path, number: int) -> Extent:
    """The location of an image."""
    known, image = facts(folder), mapped(folder / IMAGES, IMAGE)[number]
    return Extent(known.locations[known.file_of(number)], int(image["offset"]), int(image["size"]))


def columns(folder: Path) -> ImageColumns:
    """The columns of a complete index."""
    known = facts(folder)
    n = int(known.starts[-1])
    return ImageColumns(
        LazySequence(n, partial(_name, folder)),
        MappedInts(folder / IMAGES, IMAGE, "label") if known.classes else None,
        LazySequence(n, partial(_captions, folder)) if known.captioned else None,
    )


def _name(folder: Path, number: int) -> str:
    """The name of an image, below that of its file if there are several."""
    known, name = facts(folder), _text(folder, number)[0]
    if len(known.locations) == 1:
        return name
    return f"{known.locations[known.file_of(number)].rsplit('/', 1)[-1]}/{name}"


def _captions(folder: Path, number: int) -> str:
    """The captions of an image, one a line."""
    return _text(folder, number)[1]


def _text(folder: Path, number: int) -> tuple[str, str]:
    """The name of an image in its file, and its captions."""
    ends = mapped(folder / ENDS, END)
    begin, end = int(ends[number - 1]) if number else 0, int(ends[number])
    name, _, captions = mapped(folder / TEXTS, BYTE)[begin:end].tobytes().decode().partition("\0")
    return name, captions

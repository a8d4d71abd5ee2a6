"""An index of images in large files: where each of them is, its class and its texts, in files that are mapped.

Of an image, ``images.bin`` has 16 bytes and ``ends.u8`` 8: the end of its name and its captions in ``texts.bin``.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np

from ddpm.data.columns import Ints, MappedInts, mapped
from ddpm.data.source import ImageColumns

IMAGE = np.dtype([("offset", "<u8"), ("size", "<u4"), ("label", "<i4")])
END, BYTE = np.dtype("<u8"), np.dtype("u1")
IMAGES, ENDS, TEXTS, FACTS = "images.bin", "ends.u8", "texts.bin", "index.json"


class Facts(NamedTuple):
    """What an index says of all images.

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
    """Where an image is: a file, its place in that file, and its number of bytes."""

    location: str
    offset: int
    size: int


@lru_cache(maxsize=8)
def facts(folder: Path) -> Facts:
    """The facts of a complete index, read once by each process."""
    found: dict[str, Any] = json.loads((folder / FACTS).read_bytes())
    lists = {name: tuple(found[name]) for name in ("locations", "classes", "ignored")}
    return Facts(**found | lists | {"starts": np.array(found["starts"], np.int64)})


def extent(folder: Path, number: int) -> Extent:
    """Where an image is."""
    known, image = facts(folder), mapped(folder / IMAGES, IMAGE)[number]
    return Extent(known.locations[known.file_of(number)], int(image["offset"]), int(image["size"]))


@dataclass(frozen=True)
class Texts(Sequence[str]):
    """The name of each image, or its captions, in the mapped index."""

    folder: Path
    captions: bool

    def __len__(self) -> int:
        return int(facts(self.folder).starts[-1])

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...

    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        ends = mapped(self.folder / ENDS, END)
        begin, end = int(ends[index - 1]) if index else 0, int(ends[index])
        text = mapped(self.folder / TEXTS, BYTE)[begin:end].tobytes().decode()
        name, _, caption = text.partition("\0")
        if self.captions:
            return caption
        known = facts(self.folder)
        if len(known.locations) == 1:
            return name
        return f"{known.locations[known.file_of(index)].rsplit('/', 1)[-1]}/{name}"


def columns(folder: Path) -> ImageColumns:
    """The columns of a complete index."""
    known = facts(folder)
    return ImageColumns(
        Texts(folder, False),
        MappedInts(folder / IMAGES, IMAGE, "label") if known.classes else None,
        Texts(folder, True) if known.captioned else None,
    )

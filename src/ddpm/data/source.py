"""The interface of every source of images."""

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Protocol

from ddpm.images.pixels import Pixels


@dataclass(frozen=True, slots=True)
class Item:
    """One image: its POSIX-style name within the source, the name of its class, its caption."""

    name: str
    label: str | None = None
    caption: str | None = None


class Reader(Protocol):
    """A reader of images by name; picklable, so that any process can read."""

    def read(self, name: str) -> bytes | Pixels:
        """The bytes of the file, or the pixel values, (H, W) or (H, W, C).

        Raises:
            OSError, BadImage: if the image cannot be read.
        """
        ...


@dataclass(frozen=True)
class Source:
    """A list of images, in the same order on every machine.

    Attributes:
        key: A hash of the list that changes with the content: file sizes and times, or checksums in an archive.
        classes: The class names, in the order of the label numbers; empty if images have no classes.
        size: The bytes of the files to decode; 0 for arrays.
        orphans: The captions without an image.
        ignored: The files that are neither images nor captions.
    """

    items: tuple[Item, ...]
    reader: Reader
    key: str
    classes: tuple[str, ...] = ()
    size: int = 0
    orphans: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.items)

    def without(self, name: str) -> "Source":
        """The source without one image; unchanged if that image is not in it, or is its only one."""
        rest = tuple(item for item in self.items if item.name != name)
        if len(rest) in (0, len(self.items)):
            return self
        return replace(self, items=rest, key=sha256(f"{self.key} without {name}".encode()).hexdigest()[: len(self.key)])

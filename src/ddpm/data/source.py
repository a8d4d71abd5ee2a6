"""The interface of every source of images."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256

from ddpm.images.pixels import Pixels


@dataclass(frozen=True, slots=True)
class Item:
    """One image: its POSIX-style name within the source, the name of its class, its caption."""

    name: str
    label: str | None = None
    caption: str | None = None


Read = Callable[[str], bytes | Pixels]
"""Reads an image by name: the bytes of its file, or its values, (H, W) or (H, W, C). Raises OSError or BadImage if it
cannot be read. Picklable, so that any process can read.
"""


@dataclass(frozen=True)
class Source:
    """A list of images, in the same order on every machine.

    Attributes:
        read: Reads an image by name.
        key: A hash of the list that changes with the content: file sizes and times, or checksums in an archive.
        classes: The class names, in the order of the label numbers; empty if images have no classes.
        size: The bytes of the files to decode; None for an array.
        orphans: The captions without an image.
        ignored: The files that are neither images nor captions.
    """

    items: tuple[Item, ...]
    read: Read
    key: str
    classes: tuple[str, ...] = ()
    size: int | None = None
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

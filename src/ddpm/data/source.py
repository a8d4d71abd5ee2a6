"""What every place that images come from looks like."""

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
    """Fetches one image by its name. Picklable, so that any process can read."""

    def read(self, name: str) -> bytes | Pixels:
        """The file's bytes, or the values themselves, (H, W) or (H, W, C).

        Raises:
            OSError, BadImage: if it cannot be read.
        """
        ...


@dataclass(frozen=True)
class Source:
    """A listing of images, in an order that does not depend on the machine.

    Attributes:
        key: a hash of the listing, other for other content: sizes and times of files, checksums in an archive.
        classes: names, in the order of the label numbers; empty where images have no classes.
        size: bytes of the files that have to be decoded; 0 for arrays.
        orphans: captions that belong to no image.
        ignored: files that are neither images nor captions.
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
        """The listing without one name; itself if it has no such, or no other."""
        rest = tuple(item for item in self.items if item.name != name)
        if len(rest) in (0, len(self.items)):
            return self
        return replace(self, items=rest, key=sha256(f"{self.key} without {name}".encode()).hexdigest()[: len(self.key)])

"""The interface of every source of images."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256

from ddpm.images.pixels import Pixels
from ddpm.images.reduced import MAX_PIXELS


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
        broken: The names of files that cannot be read, and the reasons.
        notes: What else there is to say about the files.
        max_pixels: The largest number of pixels of an image to decode.
        validation: The number of images, the last ones, that are held out; 0 holds out some at random.
    """

    items: tuple[Item, ...]
    read: Read
    key: str
    classes: tuple[str, ...] = ()
    size: int | None = None
    orphans: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    broken: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    max_pixels: int = MAX_PIXELS
    validation: int = 0

    def __len__(self) -> int:
        return len(self.items)

    def without(self, name: str) -> "Source":
        """The source without one image; unchanged if that image is not in it, or is its only one."""
        rest = tuple(item for item in self.items if item.name != name)
        if len(rest) in (0, len(self.items)):
            return self
        held = sum(item.name != name for item in self.items[len(self) - self.validation :])
        return replace(self, items=rest, key=self._changed(f"without {name}"), validation=held)

    def with_classes(self, classes: tuple[str, ...]) -> "Source":
        """The source with its classes in this order; unchanged if it has others."""
        if classes == self.classes or {*classes} != {*self.classes}:
            return self
        return replace(self, classes=classes, key=self._changed(f"in the order {classes}"))

    def _changed(self, how: str) -> str:
        return sha256(f"{self.key} {how}".encode()).hexdigest()[: len(self.key)]

"""The interface of every source of images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256

import numpy as np

from ddpm.data.columns import IntColumn, LazySequence, PickedInts
from ddpm.images.pixels import Pixels
from ddpm.images.reduced import MAX_PIXELS


@dataclass(frozen=True, slots=True)
class Item:
    """One image: its POSIX-style name within the source, the name of its class, its caption."""

    name: str
    label: str | None = None
    caption: str | None = None


Read = Callable[[str], bytes | Pixels]
"""Reads an image by its address: the bytes of its file, or its values, (H, W) or (H, W, C). Raises OSError or BadImage
if it cannot be read. Picklable, so that any process can read.
"""


@dataclass(frozen=True, eq=False)
class ImageColumns:
    """The names, labels and captions of images, each looked up by number.

    Attributes:
        labels: The number of each image's class; None without classes.
        captions: One string per image, "" for an image without; None if no image has one.
    """

    names: Sequence[str]
    labels: IntColumn | None
    captions: Sequence[str] | None


def stored_items(columns: ImageColumns, classes: tuple[str, ...]) -> Sequence[Item]:
    """Images whose columns are stored, made on demand."""
    return LazySequence(len(columns.names), partial(_item, columns, classes))


def _item(columns: ImageColumns, classes: tuple[str, ...], number: int) -> Item:
    label = None if columns.labels is None else classes[int(columns.labels[np.array([number])][0])]
    caption = None if columns.captions is None else columns.captions[number] or None
    return Item(columns.names[number], label, caption)


@dataclass(frozen=True)
class Source:
    """A list of images, in the same order on every machine.

    Attributes:
        read: Reads an image by its address, which is its name, or its number if the columns are stored.
        key: A hash of the list that changes with the content: file sizes and times, or checksums in an archive.
        version: A hash of the files' locations and times, if the key does not change with contents of the same sizes.
            Caches depend on it, but runs do not, so that their files may be moved.
        classes: The class names, in the order of the label numbers; empty if images have no classes.
        size: The bytes of the files to decode; None for an array.
        orphans: The captions without an image.
        ignored: The files that are neither images nor captions.
        broken: The names of files that cannot be read, and the reasons; they are not among the items.
        notes: Further remarks on the files.
        max_pixels: The largest number of pixels of an image to decode.
        validation: The number of images at the end that are held out; 0 holds out some at random.
        streamed: Whether to decode images as they are read, not once; None decides by their size and the free disk.
        stored: The columns, if they are not to be read into memory; None if the items are in memory.
    """

    items: Sequence[Item]
    read: Read
    key: str
    version: str = ""
    probed: int = 0
    classes: tuple[str, ...] = ()
    size: int | None = None
    orphans: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    broken: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    max_pixels: int = MAX_PIXELS
    validation: int = 0
    stored: ImageColumns | None = None
    streamed: bool | None = None

    def __len__(self) -> int:
        return len(self.items)

    @property
    def cache_key(self) -> str:
        """A name for data derived from the images, which changes with their contents."""
        return self._changed(self.version) if self.version else self.key

    def address(self, number: int) -> str:
        """The argument of ``read`` for an image."""
        return self.items[number].name if self.stored is None else str(number)

    @property
    def columns(self) -> ImageColumns:
        """The names, labels and captions of all images."""
        if self.stored is not None:
            return self.stored
        number = {name: i for i, name in enumerate(self.classes)}
        labels = [number[item.label] for item in self.items if item.label is not None]
        captions = tuple(item.caption or "" for item in self.items)
        return ImageColumns(
            tuple(item.name for item in self.items),
            np.array(labels, np.int64) if self.classes else None,
            captions if any(captions) else None,
        )

    def without(self, name: str) -> "Source":
        """The source without one image; unchanged if it lacks that image or has no other, or if columns are stored."""
        if self.stored is not None:
            return self
        rest = tuple(item for item in self.items if item.name != name)
        if len(rest) in (0, len(self.items)):
            return self
        held = sum(item.name != name for item in self.items[len(self) - self.validation :])
        return replace(self, items=rest, key=self._changed(f"without {name}"), validation=held)

    def with_classes(self, classes: tuple[str, ...]) -> "Source":
        """The source with its classes in this order; unchanged if it has others."""
        if classes == self.classes or {*classes} != {*self.classes}:
            return self
        key, labels = self._changed(f"in the order {classes}"), None if self.stored is None else self.stored.labels
        if self.stored is None or labels is None:
            return replace(self, classes=classes, key=key)
        numbers = np.array([classes.index(name) for name in self.classes], np.int64)
        stored = replace(self.stored, labels=PickedInts(numbers, labels))
        return replace(self, classes=classes, key=key, stored=stored, items=stored_items(stored, classes))

    def _changed(self, how: str) -> str:
        return sha256(f"{self.key} {how}".encode()).hexdigest()[: len(self.key)]

"""Sources from trees of files, in a folder or an archive: images, classes and captions."""

import hashlib
import posixpath
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from ddpm.data.captions import match_captions
from ddpm.data.source import Item, Reader, Source
from ddpm.system.errors import InputError

SUFFIXES = {
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".avif", ".jp2", ".gif"),
    *(".bmp", ".dib", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"),
}
JUNK = {"__MACOSX", "Thumbs.db", "desktop.ini"}


@dataclass(frozen=True, slots=True)
class File:
    """A file: its POSIX-style name below the root, its size in bytes, and numbers that change with its content."""

    name: str
    size: int
    stamp: tuple[int, ...]


def junk(part: str) -> bool:
    """Whether a file or folder name belongs to the operating system rather than the user."""
    return part.startswith(".") or part in JUNK


def tree_source(files: Iterable[File], reader: Reader, where: str) -> Source:
    """The images among the files, sorted by name.

    Classes are the subfolders of the deepest folder that contains every image, unless an image lies directly in it.
    ``cat/1.png, dog/2.png`` has two classes, also inside a wrapping folder; a flat folder has none.

    Raises:
        InputError: if there is no image, or a caption file cannot be read.
    """
    ordered = sorted(files, key=lambda file: file.name)
    images = [file for file in ordered if _suffix(file) in SUFFIXES]
    others = [file.name for file in ordered if _suffix(file) not in SUFFIXES]
    if not images:
        raise InputError("missing", _nothing(where, ordered))
    captions = match_captions([file.name for file in images], others, reader)
    labels = _labels([file.name for file in images])
    items = tuple(
        Item(file.name, label, captions.texts.get(file.name)) for file, label in zip(images, labels, strict=True)
    )
    digest = hashlib.sha256(repr(where).encode())
    for file, item in zip(images, items, strict=True):
        digest.update(repr((file.name, file.size, file.stamp, item.label, item.caption)).encode())
    return Source(
        items,
        reader,
        key=digest.hexdigest()[:32],
        classes=tuple(sorted({label for label in labels if label is not None})),
        size=sum(file.size for file in images),
        orphans=captions.orphans,
        ignored=captions.ignored,
    )


def _labels(names: list[str]) -> list[str | None]:
    folders = [posixpath.dirname(name).split("/") for name in names]
    # Sorted names: a prefix of the first and the last folder is shared by all.
    low, high = min(folders), max(folders)
    depth = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    if low == [""] or any(len(folder) <= depth for folder in folders):
        return [None] * len(names)
    return [folder[depth] for folder in folders]


def _suffix(file: File) -> str:
    return posixpath.splitext(file.name)[1].lower()


def _nothing(where: str, files: list[File]) -> str:
    found = Counter(_suffix(file) or "no suffix" for file in files).most_common(3)
    held = ", ".join(f"{n} of type {suffix}" for suffix, n in found) or "it is empty"
    return f"{where} holds no images ({held}); add .png, .jpg, .webp, .bmp, .gif, .tiff, .ppm or .avif files"

"""Sources from trees of files: what is in a folder or an archive, as images with classes and captions."""

import hashlib
import posixpath
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ddpm.data.captions import match_captions
from ddpm.data.source import Item, Read, Source
from ddpm.data.splits import below, chosen
from ddpm.images.reduced import MAX_PIXELS
from ddpm.system.errors import InputError
from ddpm.system.filenames import natural, nfc
from ddpm.system.names import shortened
from ddpm.system.units import say_count, say_some

SUFFIXES = {
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".avif", ".jp2", ".gif"),
    *(".bmp", ".dib", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"),
}
JUNK = {
    *("__macosx", "thumbs.db", "desktop.ini", "$recycle.bin", "recycler", "system volume information"),
    *("@eadir", "#recycle", "#snapshot", "lost+found"),
}
"""Files and folders of systems and servers, in lower case; also those whose names begin with a dot."""
RULES = 2
"""Incremented when the same files are decoded differently, so that old caches are not used."""


@dataclass(frozen=True)
class Listing:
    """The entries of a folder or an archive, by POSIX-style names below its root.

    Attributes:
        files: Name -> size in bytes, and numbers that change with the content.
        broken: The names of entries that cannot be read, such as broken links, and the reasons.
        circles: The names of links to a folder that contains them.
        folders: The names of all folders.
        left_out: The names of the folders of systems and servers, whose content is ignored.
    """

    files: dict[str, tuple[int, ...]] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    circles: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    left_out: set[str] = field(default_factory=set)


def tree_source(
    listing: Listing, read: Read, where: str, split: str | None = None, max_pixels: int = MAX_PIXELS
) -> Source:
    """The images among the files, sorted by name; those of a folder val after those of train.

    Classes are the subfolders of the deepest folder that contains every image, or of each split, unless an image lies
    directly in it. ``cat/1.png, dog/2.png`` has two classes, also inside a wrapping folder; a flat folder has none.

    Args:
        split: See :func:`~ddpm.data.splits.chosen`.
        max_pixels: The largest number of pixels of an image to decode.

    Raises:
        InputError: if there is no image or no such split, or a caption file cannot be read.
    """
    images = [name for name in sorted(listing.files) if suffix(name) in SUFFIXES]
    others = [name for name in sorted(listing.files) if suffix(name) not in SUFFIXES]
    if not images:
        raise _no_images(where, others, listing.broken)
    found = chosen(images, split, where)
    images = [*found.training, *found.validation]
    others = [name for name in others if not name.startswith(found.left_out)]
    captions, orphans, ignored = match_captions(images, others, read)
    labels, classes = _labels(images, found.above)
    items = tuple(map(Item, images, labels, map(captions.get, images)))
    broken = {name: why for name, why in sorted(listing.broken.items()) if not name.startswith(found.left_out)}
    digest = hashlib.sha256(repr((RULES, where, max_pixels, len(found.validation), broken)).encode())
    for item in items:
        size, *stamp = listing.files[item.name]
        digest.update(repr((item.name, size, tuple(stamp), item.label, item.caption)).encode())
    return Source(
        items,
        read,
        key=digest.hexdigest()[:32],
        classes=tuple(sorted({label for label in labels if label is not None}, key=natural)),
        size=sum(listing.files[name][0] for name in images),
        orphans=orphans,
        ignored=ignored,
        broken=broken,
        notes=(
            *found.notes,
            *_empty(listing.folders, classes),
            *_unfollowed({name for name in listing.circles if not name.startswith(found.left_out)}),
            *_left_out(listing.left_out),
        ),
        max_pixels=max_pixels,
        validation=len(found.validation),
    )


def suffix(name: str) -> str:
    """The end of a name, from its last dot, in lower case."""
    return posixpath.splitext(name)[1].lower()


def junk(name: str) -> bool:
    """Whether a file or folder of this name belongs to a system or a server rather than to the data."""
    return name.startswith(".") or name.lower() in JUNK


def _no_images(where: str, others: Iterable[str], broken: dict[str, str]) -> InputError:
    if broken:
        first = say_some([f"{name}: {reason}" for name, reason in broken.items()], 3, "; ")
        return InputError("unreadable", f"{where} holds no readable images ({first}); restore them")
    found = Counter(suffix(name) or "no suffix" for name in others).most_common(3)
    held = ", ".join(f"{n} of type {kind}" for kind, n in found) or "it is empty"
    return InputError(
        "missing", f"{where} holds no images ({held}); add .png, .jpg, .webp, .bmp, .gif, .tiff, .ppm or .avif files"
    )


def _labels(names: list[str], above: int) -> tuple[list[str | None], set[str]]:
    """The class of each image, and the folders that are classes.

    Args:
        above: The number of folders above the classes of a split.
    """
    inside = [name.split("/", above)[-1] for name in names]
    depth = above + below(inside)
    parts = [name.split("/")[:-1] for name in names]
    if any(len(part) <= depth for part in parts):
        return [None] * len(names), set()
    return [nfc(part[depth]) for part in parts], {"/".join(part[: depth + 1]) for part in parts}


def _empty(folders: set[str], classes: set[str]) -> Iterator[str]:
    """A note about folders next to those of the classes that hold no image."""
    places = {posixpath.dirname(name) for name in classes}
    if empty := sorted(name for name in folders - classes if name and posixpath.dirname(name) in places):
        names = say_some([*map(shortened, empty)])
        yield f"{say_count(len(empty), 'folder')} without images, not counted as classes: {names}"


def _unfollowed(circles: set[str]) -> Iterator[str]:
    """A note about links to a folder that contains them."""
    if circles:
        links = say_count(len(circles), "link")
        yield f"{links} to a folder that contains it, not followed: {say_some(sorted(circles))}"


def _left_out(names: Iterable[str]) -> Iterator[str]:
    """A note about the folders that were ignored."""
    if counts := Counter(map(posixpath.basename, sorted(names))):
        listed = [f"{name} ({n:,} times)" if n > 1 else name for name, n in counts.most_common()]
        yield f"ignored system folders: {say_some(listed)}"

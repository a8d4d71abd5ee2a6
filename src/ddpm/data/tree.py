"""Sources from trees of files: a folder, or a .zip read in place."""

import hashlib
import os
import posixpath
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from pathlib import Path

from ddpm.data.captions import match_captions
from ddpm.data.source import Item, Read, Source
from ddpm.images.decode import BadImage, check_bytes
from ddpm.system.errors import InputError

SUFFIXES = {
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".avif", ".jp2", ".gif"),
    *(".bmp", ".dib", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"),
}
JUNK = {"__MACOSX", "Thumbs.db", "desktop.ini"}
"""Files and folders of the operating system, besides those whose names begin with a dot."""


def open_folder(root: Path) -> Source:
    """The images in a folder and its subfolders; links are followed, hidden files are ignored.

    Raises:
        InputError: if a folder cannot be listed, or there is no image.
    """
    root = root.resolve()
    try:
        files = dict(_walk(root, "", frozenset()))
    except OSError as error:
        raise InputError(
            "unreadable", f"cannot list {error.filename}: {error.strerror}; make it readable, or move it away"
        ) from error
    return tree_source(files, partial(_read_file, root), str(root))


def _read_file(root: Path, name: str) -> bytes:
    path = root / name
    check_bytes(path.stat().st_size)
    return path.read_bytes()


def _walk(folder: Path, prefix: str, above: frozenset[str]) -> Iterator[tuple[str, tuple[int, ...]]]:
    real = os.path.realpath(folder)
    if real in above:  # a link to a parent folder
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if _junk(entry.name):
                continue
            if entry.is_dir():
                yield from _walk(Path(entry.path), f"{prefix}{entry.name}/", above | {real})
            elif entry.is_file():
                stat = entry.stat()
                # ctime also changes when a file is replaced by one of the same mtime, or made readable.
                yield prefix + entry.name, (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def open_zip(path: Path) -> Source:
    """The images in a .zip, whose checksums reveal changes.

    Raises:
        InputError: if it is not a readable .zip, is encrypted, or holds no image.
    """
    version = path.resolve(), path.stat().st_mtime_ns
    try:
        members = _archive(*version).infolist()
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError("unreadable", f"{path} is not a readable .zip ({error}); create it again") from error
    if any(member.flag_bits & 1 for member in members):
        raise InputError("unreadable", f"{path} is encrypted; use a .zip without a password")
    files = {
        member.filename: (member.file_size, member.CRC)
        for member in members
        if not member.is_dir() and not any(map(_junk, member.filename.split("/")))
    }
    return tree_source(files, partial(_read_member, *version), path.name)


def _read_member(path: Path, stamp: int, name: str) -> bytes:
    archive = _archive(path, stamp)
    check_bytes(archive.getinfo(name).file_size)
    try:
        return archive.read(name)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise BadImage(f"damaged inside the archive ({error})") from error


@lru_cache(maxsize=1)
def _archive(path: Path, stamp: int) -> zipfile.ZipFile:
    """The open archive, cached by its modification time, as reading the directory of a large one takes seconds."""
    return zipfile.ZipFile(path)


def tree_source(files: Mapping[str, tuple[int, ...]], read: Read, where: str) -> Source:
    """The images among the files, sorted by name.

    Classes are the subfolders of the deepest folder that contains every image, unless an image lies directly in it.
    ``cat/1.png, dog/2.png`` has two classes, also inside a wrapping folder; a flat folder has none.

    Args:
        files: POSIX-style name below the root -> size in bytes, and numbers that change with the content.

    Raises:
        InputError: if there is no image, or a caption file cannot be read.
    """
    images = [name for name in sorted(files) if _suffix(name) in SUFFIXES]
    others = [name for name in sorted(files) if _suffix(name) not in SUFFIXES]
    if not images:
        found = Counter(_suffix(name) or "no suffix" for name in others).most_common(3)
        held = ", ".join(f"{n} of type {suffix}" for suffix, n in found) or "it is empty"
        raise InputError(
            "missing",
            f"{where} holds no images ({held}); add .png, .jpg, .webp, .bmp, .gif, .tiff, .ppm or .avif files",
        )
    captions, orphans, ignored = match_captions(images, others, read)
    labels = _labels(images)
    items = tuple(map(Item, images, labels, map(captions.get, images)))
    digest = hashlib.sha256(repr(where).encode())
    for item in items:
        size, *stamp = files[item.name]
        digest.update(repr((item.name, size, tuple(stamp), item.label, item.caption)).encode())
    return Source(
        items,
        read,
        key=digest.hexdigest()[:32],
        classes=tuple(sorted({label for label in labels if label is not None})),
        size=sum(files[name][0] for name in images),
        orphans=orphans,
        ignored=ignored,
    )


def _labels(names: list[str]) -> list[str | None]:
    folders = [posixpath.dirname(name).split("/") for name in names]
    # Sorted names: a prefix of the first and the last folder is shared by all.
    low, high = min(folders), max(folders)
    depth = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    if low == [""] or any(len(folder) <= depth for folder in folders):
        return [None] * len(names)
    return [folder[depth] for folder in folders]


def _suffix(name: str) -> str:
    return posixpath.splitext(name)[1].lower()


def _junk(name: str) -> bool:
    return name.startswith(".") or name in JUNK

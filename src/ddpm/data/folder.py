"""The images in a folder and its subfolders."""

import os
import stat
from functools import partial
from pathlib import Path

from ddpm.data.source import Source
from ddpm.data.tree import SUFFIXES, Listing, junk, suffix, tree_source
from ddpm.images.decode import check_bytes
from ddpm.images.reduced import MAX_PIXELS
from ddpm.system.errors import InputError
from ddpm.system.filenames import readable

MATTERING = {*SUFFIXES, "", ".txt", ".csv", ".jsonl"}
"""Suffixes of links that are reported if they are broken: those to images, folders or captions."""


def open_folder(root: Path, split: str | None = None, max_pixels: int = MAX_PIXELS) -> Source:
    """The images in a folder and its subfolders; links are followed, hidden files are ignored.

    Names that are not UTF-8 are shown with their bytes, as in ``caf\\xe9.png``.

    Args:
        split, max_pixels: See :func:`~ddpm.data.tree.tree_source`.

    Raises:
        InputError: if a folder cannot be listed, or there is no image.
    """
    root = root.resolve()
    listing, real = Listing(), dict[str, str]()
    try:
        _walk(os.fspath(root), listing, real)
    except OSError as error:
        raise InputError(
            "unreadable", f"cannot list {error.filename}: {error.strerror}; make it readable, or move it away"
        ) from error
    return tree_source(listing, partial(_read_file, root, real), str(root), split, max_pixels)


def _read_file(root: Path, real: dict[str, str], name: str) -> bytes:
    """The content of a file; ``real`` has the names on disk of files whose names are shown in another form."""
    path = root / real.get(name, name)
    check_bytes(path.stat().st_size)
    return path.read_bytes()


def _walk(root: str, listing: Listing, real: dict[str, str]) -> None:
    """List a folder and its subfolders, at any depth."""
    waiting: list[tuple[str, str, frozenset[str]]] = [(root, "", frozenset())]
    while waiting:
        folder, prefix, above = waiting.pop()
        own = os.path.realpath(folder)
        if own in above:
            name = readable(prefix.rstrip("/"))
            listing.folders.discard(name)
            listing.circles.add(name)
            continue
        with os.scandir(folder) as entries:
            for entry in entries:
                name = readable(prefix + entry.name)
                if junk(entry.name):
                    if entry.is_dir(follow_symlinks=False):
                        listing.left_out.add(name)
                    continue
                try:
                    found = entry.stat()
                except OSError as error:
                    if entry.is_symlink() and suffix(name) in MATTERING:
                        listing.broken[name] = _why(entry, error)
                    continue  # or it was removed a moment ago
                if stat.S_ISDIR(found.st_mode):
                    listing.folders.add(name)
                    waiting.append((entry.path, f"{prefix}{entry.name}/", above | {own}))
                elif stat.S_ISREG(found.st_mode):
                    # ctime also changes when a file is replaced by one of the same mtime, or made readable.
                    listing.files[name] = found.st_size, found.st_mtime_ns, found.st_ctime_ns
                    if name != prefix + entry.name:
                        real[name] = prefix + entry.name
                elif suffix(name) in SUFFIXES:
                    listing.broken[name] = "not a regular file"


def _why(link: "os.DirEntry[str]", error: OSError) -> str:
    target = readable(str(Path(link.path).readlink()))
    if "/annex/objects/" in target:
        return "a git-annex link without the file's content; run `git annex get .`"
    return f"a link to {target}, which cannot be read ({error.strerror})"

"""A folder of images."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ddpm.data.source import Source
from ddpm.data.tree import File, junk, tree_source
from ddpm.images.decode import check_bytes
from ddpm.system.errors import InputError


@dataclass(frozen=True, slots=True)
class FolderReader:
    """Reads files in a folder and its subfolders."""

    root: Path

    def read(self, name: str) -> bytes:
        path = self.root / name
        check_bytes(path.stat().st_size)
        return path.read_bytes()


def open_folder(root: Path) -> Source:
    """The images in a folder and its subfolders; links are followed, hidden files are ignored.

    Raises:
        InputError: if a folder cannot be listed, or there is no image.
    """
    root = root.resolve()
    try:
        files = list(_walk(root, "", frozenset()))
    except OSError as error:
        raise InputError(
            "unreadable", f"cannot list {error.filename}: {error.strerror}; make it readable, or move it away"
        ) from error
    return tree_source(files, FolderReader(root), str(root))


def _walk(folder: Path, prefix: str, above: frozenset[str]) -> Iterator[File]:
    real = os.path.realpath(folder)
    if real in above:  # a link to a parent folder
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if junk(entry.name):
                continue
            if entry.is_dir():
                yield from _walk(Path(entry.path), f"{prefix}{entry.name}/", above | {real})
            elif entry.is_file():
                stat = entry.stat()
                # ctime also changes when a file is replaced by one of the same mtime, or made readable.
                yield File(prefix + entry.name, stat.st_size, (stat.st_mtime_ns, stat.st_ctime_ns))

"""A .zip of images, read in place."""

import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ddpm.data.source import Source
from ddpm.data.tree import File, junk, tree_source
from ddpm.images.decode import BadImage, check_bytes
from ddpm.system.errors import InputError


@dataclass(frozen=True, slots=True)
class ZipReader:
    """Reads the members of an archive; ``stamp`` is the archive's modification time."""

    path: Path
    stamp: int

    def read(self, name: str) -> bytes:
        archive = _archive(self.path, self.stamp)
        check_bytes(archive.getinfo(name).file_size)
        try:
            return archive.read(name)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise BadImage(f"damaged inside the archive ({error})") from error


def open_zip(path: Path) -> Source:
    """The images in a .zip, whose checksums reveal changes.

    Raises:
        InputError: if it is not a readable .zip, is encrypted, or holds no image.
    """
    reader = ZipReader(path.resolve(), path.stat().st_mtime_ns)
    try:
        members = _archive(reader.path, reader.stamp).infolist()
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError("unreadable", f"{path} is not a readable .zip ({error}); create it again") from error
    if any(member.flag_bits & 1 for member in members):
        raise InputError("unreadable", f"{path} is encrypted; use a .zip without a password")
    files = {
        member.filename: File(member.filename, member.file_size, (member.CRC,))
        for member in members
        if not member.is_dir() and not any(junk(part) for part in member.filename.split("/"))
    }
    return tree_source(files.values(), reader, path.name)


@lru_cache(maxsize=1)
def _archive(path: Path, stamp: int) -> zipfile.ZipFile:
    """The open archive, cached because reading the directory of a large one takes seconds."""
    return zipfile.ZipFile(path)

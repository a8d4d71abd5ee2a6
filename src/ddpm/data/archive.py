"""The images in a .zip, read in place."""

import lzma
import zipfile
import zlib
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path

from ddpm.data.source import Source
from ddpm.data.tree import Listing, junk, tree_source
from ddpm.images.decode import BadImage, check_bytes
from ddpm.images.reduced import MAX_PIXELS
from ddpm.system.errors import InputError

UTF8 = 0x800
"""The flag of a member whose name is UTF-8; :mod:`zipfile` decodes all others as code page 437."""


def open_zip(path: Path, split: str | None = None, max_pixels: int = MAX_PIXELS) -> Source:
    """The images in a .zip, whose checksums reveal changes.

    Args:
        split, max_pixels: See :func:`~ddpm.data.tree.tree_source`.

    Raises:
        InputError: if it is not a readable .zip, is encrypted, or holds no image.
    """
    version = path.resolve(), path.stat().st_mtime_ns
    try:
        _, members = _archive(*version)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise InputError("unreadable", f"{path} is not a readable .zip ({error}); create it again") from error
    if any(member.flag_bits & 1 for member in members.values()):
        raise InputError("unreadable", f"{path} is encrypted; use a .zip without a password")
    listing = Listing()
    for name, member in members.items():
        *above, last = name.rstrip("/").split("/")
        if last and any(map(junk, above)):
            first = next(i for i, part in enumerate(above) if junk(part))
            listing.left_out.add("/".join(above[: first + 1]))
            continue
        listing.folders.update("/".join(above[: i + 1]) for i in range(len(above)))
        if name.endswith("/"):
            if not junk(last):
                listing.folders.add(name.rstrip("/"))
        elif not junk(last):
            listing.files[name] = member.file_size, member.CRC
    return tree_source(listing, partial(_read_member, *version), path.name, split, max_pixels)


def _read_member(path: Path, stamp: int, name: str) -> bytes:
    archive, members = _archive(path, stamp)
    check_bytes(members[name].file_size)
    try:
        return archive.read(members[name])
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # of the disk; bzip2's errors have no number
            raise
        raise BadImage(f"damaged inside the archive ({error})") from error


@lru_cache(maxsize=1)
def _archive(path: Path, stamp: int) -> tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]:
    """The open archive and its members by POSIX-style name; folders end in a slash.

    It is cached by its modification time, as reading the directory of a large one takes seconds.
    """
    archive = zipfile.ZipFile(path)
    return archive, {_name(member): member for member in archive.infolist()}


def _name(member: zipfile.ZipInfo) -> str:
    """The name of a member: in UTF-8 even without the flag, and with slashes even if old Windows tools wrote it."""
    name = member.filename
    if not member.flag_bits & UTF8:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode()
    return name if "/" in name else name.replace("\\", "/")

"""Archives of images that clients upload to train on. They are never unpacked: images are read in place."""

import re
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ddpm.data.archive import open_zip
from ddpm.data.tree import SUFFIXES
from ddpm.system.errors import InputError
from ddpm.system.files import drafted

NAME = re.compile(r"\w[\w.-]{0,59}\.zip", re.ASCII)
MOST = 16
"""The archives that are kept."""
MOST_TEXT = 64 << 20
"""The bytes of all members of an archive that are not pictures, unpacked."""


class Uploads:
    """The uploads in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._arriving: set[str] = set()
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """Their names."""
        return sorted(path.name for path in self.folder.glob("*.zip"))

    @contextmanager
    def arriving(self, name: str) -> Iterator[Path]:
        """A draft that becomes an upload when the block ends; until then, nobody else can use its name.

        Raises:
            InputError: the name is not allowed, or taken, there are too many, or the disk is full.
        """
        if not NAME.fullmatch(name):
            raise InputError("invalid", f"the name {name!r} cannot be used; use letters and digits, ending in .zip")
        with self._lock:
            if name in self._arriving or (self.folder / name).exists():
                raise InputError("exists", f"an upload {name} already exists; choose another name")
            if len(self.names()) + len(self._arriving) >= MOST:
                raise InputError("conflict", f"{MOST} uploads are kept; remove one first")
            self._arriving.add(name)
        try:
            with drafted(self.folder / name) as draft:
                yield draft
        finally:
            self._arriving.remove(name)


def check_upload(draft: Path, name: str) -> None:
    """Check an upload.

    Args:
        draft: where it is.
        name: what it will be called.

    Raises:
        InputError: it is no archive of images.
    """
    try:
        if (size := _text(draft)) > MOST_TEXT:
            raise InputError("invalid", f"{draft} unpacks to {size:,} bytes that are not pictures; remove them")
        open_zip(draft)
    except InputError as error:
        said = str(error).replace(str(draft), name).replace(draft.name, name)
        raise InputError(error.code, said) from error


def _text(path: Path) -> int:
    """The unpacked size in bytes of the members of an archive that are not pictures, such as captions."""
    with suppress(zipfile.BadZipFile, OSError, ValueError), zipfile.ZipFile(path) as archive:
        return sum(one.file_size for one in archive.infolist() if Path(one.filename).suffix.lower() not in SUFFIXES)
    return 0

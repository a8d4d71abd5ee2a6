"""Archives of images that clients upload to train on. They are never unpacked: images are read in place."""

import re
import zipfile
from contextlib import suppress
from pathlib import Path

from ddpm.data.archive import open_zip
from ddpm.data.tree import SUFFIXES
from ddpm.system.errors import InputError

NAME = re.compile(r"\w[\w.-]{0,59}\.zip")
MOST = 16
"""The archives that are kept."""
MOST_TEXT = 64 << 20
"""The bytes of all members of an archive that are not pictures, unpacked."""


def uploaded(folder: Path) -> list[str]:
    """The names of the uploads in a folder."""
    return sorted(path.name for path in folder.glob("*.zip"))


def new_upload(folder: Path, name: str) -> Path:
    """The file for an upload.

    Raises:
        InputError: the name is not allowed, or taken, or there are too many.
    """
    if not NAME.fullmatch(name):
        raise InputError("invalid", f"the name {name!r} cannot be used; use letters and digits, ending in .zip")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    if path.exists():
        raise InputError("exists", f"an upload {name} already exists; choose another name")
    if len(uploaded(folder)) >= MOST:
        raise InputError("conflict", f"{MOST} uploads are kept; remove one first")
    return path


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

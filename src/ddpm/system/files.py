"""Files that are whole or absent, whatever happens while they are written."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ddpm.system.errors import InputError


def write_file(path: Path, data: bytes) -> None:
    """Replace a file at once: temporary name, fsync, rename, fsync of the folder.

    Raises:
        InputError: no space, no permission, a read-only disk.
    """
    part = path.with_name(f".{path.name}.part")
    with disk_errors(path):
        try:
            write_synced(part, data)
            part.replace(path)
        except OSError:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def write_synced(path: Path, data: bytes) -> None:
    """Write a file and wait until the disk has it."""
    with path.open("wb") as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())


def sync_folder(path: Path) -> None:
    """Wait until the disk has a folder's entries. Windows keeps them by itself and cannot open folders."""
    if os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what a user can mend of a disk's refusals into one line."""
    try:
        yield
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            folder = next(p for p in (path, *path.absolute().parents) if p.exists())
            free = shutil.disk_usage(folder).free
            raise InputError(
                f"no space left to write {path} ({free / 1e6:.0f} MB free): "
                "free some and run the same command again, nothing written before is lost"
            ) from e
        unmade = e.errno == errno.ENOENT and e.filename and path.is_relative_to(e.filename)  # as below /proc
        if unmade or e.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise InputError(f"cannot write {path}: {e.strerror}; choose a folder that you may write to") from e
        if e.errno in (errno.ENOTDIR, errno.EEXIST):
            raise InputError(f"cannot write {path}: a file is in the way; choose another folder") from e
        raise

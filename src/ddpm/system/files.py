"""Files that are whole or absent, whatever happens while they are written."""

import errno
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ddpm.system.errors import InputError


def write_file(path: Path, data: bytes, advice: str | None = None) -> None:
    """Replace a file at once, in a folder that is made if need be; see :func:`drafted`."""
    with drafted(path, advice) as draft:
        write_synced(draft, data)


def write_json(path: Path, value: Any, advice: str | None = None) -> None:
    """Replace a file by a value as JSON."""
    write_file(path, json.dumps(value).encode(), advice)


def read_json(path: Path) -> Any:
    """The value in a file; None if there is no such file or it is damaged."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


@contextmanager
def drafted(path: Path, advice: str | None = None) -> Iterator[Path]:
    """A name of its own to write a file under, in a folder that is made if need be.

    When the block ends, the draft takes the file's place at once, and the folder is synced; if it fails, nothing is
    left of the draft. So several processes may write the same file, and a reader finds one of theirs.

    Args:
        advice: see :func:`disk_errors`.

    Raises:
        InputError: no space, no permission, a read-only disk.
    """
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    with disk_errors(path, advice):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield draft
            draft.replace(path)
        except BaseException:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def clear_drafts(folder: Path) -> None:
    """Remove what killed writes left in a folder that no other process writes to."""
    for draft in folder.glob(".*.part"):
        with suppress(OSError):
            draft.unlink()


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
def disk_errors(path: Path, advice: str | None = None) -> Iterator[None]:
    """Turn what a user can mend of a disk's refusals into one line.

    Args:
        advice: how to mend it, where it is not by another place for ``path``.

    Raises:
        InputError: no space, no permission, a read-only disk, a file where a folder should be.
    """
    try:
        yield
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            folder = next(p for p in (path, *path.absolute().parents) if p.exists())
            free = shutil.disk_usage(folder).free
            mend = advice or "free some and run the same command again, nothing written before is lost"
            raise InputError("unwritable", f"no space left to write {path} ({free / 1e6:.0f} MB free): {mend}") from e
        unmade = e.errno == errno.ENOENT and e.filename and path.is_relative_to(e.filename)  # as below /proc
        if unmade or e.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            mend = advice or "choose a folder that you may write to"
            raise InputError("unwritable", f"cannot write {path}: {e.strerror}; {mend}") from e
        if e.errno in (errno.ENOTDIR, errno.EEXIST):
            mend = advice or "choose another folder"
            raise InputError("exists", f"cannot write {path}: a file is in the way; {mend}") from e
        raise

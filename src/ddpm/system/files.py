"""Atomic file writes: a file is either complete or absent, even if the process is killed."""

import errno
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from ddpm.system.errors import InputError


def write_file(path: Path, data: bytes, advice: str | None = None) -> None:
    """Replace a file atomically, creating its folder if necessary; see :func:`drafted`."""
    with drafted(path, advice) as draft:
        write_synced(draft, data)


def write_json(path: Path, value: Any, advice: str | None = None) -> None:
    """Replace a file atomically with a value as JSON."""
    write_file(path, json.dumps(value).encode(), advice)


def read_json(path: Path) -> Any:
    """The value in a JSON file; None if the file does not exist or is damaged."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's contents, in 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def drafted(path: Path, advice: str | None = None) -> Iterator[Path]:
    """A unique temporary path to write a file to, in its folder, which is created if necessary.

    When the block ends, the draft replaces the file atomically and the folder is synced; if it fails, the draft is
    removed. Several processes may therefore write the same file, and a reader finds the whole file of one of them.

    Raises:
        InputError: no space, no permission, a read-only disk; see :func:`disk_errors`.
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
    """Remove the drafts of killed writes from a folder that no other process writes to."""
    for draft in folder.glob(".*.part"):
        with suppress(OSError):
            draft.unlink()


def write_synced(path: Path, data: bytes) -> None:
    """Write a file and flush it to disk."""
    with path.open("wb") as f:
        f.write(data)
        flush(f)


def flush(file: BinaryIO) -> None:
    """Flush an open file to disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Flush a folder's entries to disk. Does nothing on Windows, which cannot open folders."""
    if os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def disk_errors(path: Path, advice: str | None = None) -> Iterator[None]:
    """Turn the disk errors that a user can fix into one-line messages.

    Args:
        advice: The fix; by default, to choose another folder or free some space.

    Raises:
        InputError: no space, no permission, a read-only disk, a file where a folder should be.
    """
    try:
        yield
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            folder = next(p for p in (path, *path.absolute().parents) if p.exists())
            free = shutil.disk_usage(folder).free
            fix = advice or "free some space and re-run the same command to resume"
            raise InputError("unwritable", f"no space left to write {path} ({free / 1e6:.0f} MB free); {fix}") from e
        unmade = e.errno == errno.ENOENT and e.filename and path.is_relative_to(e.filename)  # as below /proc
        if unmade or e.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            fix = advice or "choose a writable folder"
            raise InputError("unwritable", f"cannot write {path}: {e.strerror}; {fix}") from e
        if e.errno in (errno.ENOTDIR, errno.EEXIST):
            fix = advice or "choose another folder"
            raise InputError("unwritable", f"cannot write {path}: a file exists where a folder is needed; {fix}") from e
        raise

"""Files, written atomically, complete or absent even if the process is killed; and read within bounds."""

import errno
import hashlib
import json
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO

from ddpm.system.errors import InputError

LARGEST = 32 << 20
"""The largest file that is read into memory unless its reader says otherwise, in bytes."""
LARGEST_LOG = 1 << 30
"""The largest file that :func:`whole_lines` reads, in bytes."""
LONGEST_LINE = 1 << 20
"""The longest line that :func:`whole_lines` reads, in bytes."""


def with_home(path: Path | str) -> Path:
    """A path with the home folder for ~; as it is, where there is no such home."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def open_regular(path: Path) -> BufferedReader:
    """Open a file to read, but never a pipe, on which opening could wait forever, or a device, which may not end.

    Raises:
        OSError: it cannot be opened, or is not a regular file.
    """
    return open(path, "rb", opener=_opened)


def _opened(path: str, flags: int) -> int:
    handle = os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))
    mode = os.fstat(handle).st_mode
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):  # which open() itself refuses
        return handle
    os.close(handle)
    raise OSError(errno.EINVAL, "not a regular file", path)


def read_file(path: Path, most: int = LARGEST) -> bytes:
    """The contents of a regular file.

    Args:
        most: the largest size, in bytes, that is read.

    Raises:
        OSError: it cannot be read, is not a regular file, or is larger.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise OSError(errno.EFBIG, f"larger than {most >> 20} MB", str(path))
        return file.read(size)


def read_given(path: Path, most: int = LARGEST) -> bytes:
    """Like :func:`read_file`, but also what a shell passes on: ``/dev/stdin``, or a command's output, ``<(…)``."""
    if not str(path).startswith(("/dev/fd/", "/dev/stdin", "/proc/self/fd/")):
        return read_file(path, most)
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"larger than {most >> 20} MB", str(path))
    return content


def whole_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file that end in a line feed, which a killed process may not have written, up to 1 MB each.

    Raises:
        OSError: it cannot be read, is not a regular file, or is larger than 1 GB.
    """
    with open_regular(path) as file:
        if os.fstat(file.fileno()).st_size > LARGEST_LOG:
            raise OSError(errno.EFBIG, f"larger than {LARGEST_LOG >> 20} MB", str(path))
        whole = True
        while line := file.readline(LONGEST_LINE):
            ends = line.endswith(b"\n")
            if whole and ends:
                yield line
            whole = ends


def parse_json(data: str | bytes) -> Any:
    """The value of JSON.

    Raises:
        ValueError: it is not JSON, or too deeply nested.
    """
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("it is too deeply nested") from None


def write_file(path: Path, data: bytes, advice: str | None = None) -> None:
    """Replace a file atomically, creating its folder if necessary; see :func:`drafted`."""
    with drafted(path, advice) as draft:
        write_synced(draft, data)


def write_json(path: Path, value: Any, advice: str | None = None) -> None:
    """Replace a file atomically with a value as JSON."""
    write_file(path, json.dumps(value).encode(), advice)


def read_json(path: Path, most: int = LARGEST) -> Any:
    """The value in a JSON file of at most this many bytes; None if the file does not exist or is damaged."""
    try:
        return parse_json(read_file(path, most))
    except (OSError, ValueError):
        return None


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's contents, in 64 hex digits."""
    with open_regular(path) as file:
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
        if unmade or e.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ELOOP, errno.EISDIR):
            fix = advice or "choose a writable folder"
            raise InputError("unwritable", f"cannot write {path}: {e.strerror}; {fix}") from e
        if e.errno == errno.EIO:
            fix = "check the disk, and re-run the same command"
            raise InputError("unwritable", f"cannot write {path}: {e.strerror}; {fix}") from e
        if e.errno in (errno.ENOTDIR, errno.EEXIST):
            fix = advice or "choose another folder"
            raise InputError("unwritable", f"cannot write {path}: a file exists where a folder is needed; {fix}") from e
        raise

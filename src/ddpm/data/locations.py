"""Files by location: a path, or a URL that fsspec reads, such as s3://bucket/data.tar."""

import errno
import hashlib
import os
import re
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from ddpm.system.errors import InputError
from ddpm.system.files import with_home

_SEEKING = threading.Lock()
RETRIES = 4
"""Attempts to read a part of a remote file, each after a longer pause: a connection may fail at any time."""

T = TypeVar("T")


def is_remote(location: str) -> bool:
    """Whether a location is a URL."""
    return re.match(r"[a-z][a-z0-9+.-]+://", location) is not None


def expanded(pattern: str) -> list[str]:
    """The locations that a pattern names, sorted: ``{000..009}`` counts, ``{a,b}`` lists, ``*`` and ``?`` match files.

    Braces name files whether they exist or not; wildcards those that exist.
    """
    parts = re.split(r"\{([^{}]*)\}", pattern)
    choices = [[part] if i % 2 == 0 else _braces(part) for i, part in enumerate(parts)]
    found = ["".join(each) for each in product(*choices)]
    if not re.search(r"[*?]", pattern):
        return found
    return sorted({name for each in found for name in _matches(each)})


def _braces(inside: str) -> list[str]:
    if numbers := re.fullmatch(r"(\d+)\.\.(\d+)", inside):
        low, high = numbers.groups()
        return [f"{i:0{len(low)}}" for i in range(int(low), int(high) + 1)]
    return inside.split(",")


def _matches(pattern: str) -> list[str]:
    if not is_remote(pattern):
        parts = with_home(pattern).parts
        fixed = next((i for i, part in enumerate(parts) if re.search(r"[*?]", part)), None)
        if fixed is None:
            return [pattern]
        return [str(found) for found in Path(*parts[:fixed]).glob(str(Path(*parts[fixed:])))]
    system, path = filesystem(pattern)
    scheme = pattern.split("://")[0]
    names = attempted(lambda: system.glob(path), pattern)
    return [name if is_remote(name) else f"{scheme}://{name}" for name in names]


def listed(folder: str) -> list[str]:
    """The locations of all files in a remote folder."""
    return _matches(f"{folder.rstrip('/')}/*")


@lru_cache(maxsize=16)
def _filesystem(scheme: str, process: int) -> Any:
    try:
        import fsspec
    except ImportError:
        raise InputError(
            "missing", f"{scheme}:// requires fsspec, which is not installed; run pip install 'ddpm[remote]'"
        ) from None
    try:
        return fsspec.filesystem(scheme)
    except ImportError as error:
        raise InputError("missing", f"{scheme}:// cannot be read ({error}); install what it names") from error
    except ValueError as error:
        raise InputError(
            "unknown", f"{scheme}:// is unknown ({error}); use s3://, gs://, https:// or a path"
        ) from error


def filesystem(location: str) -> tuple[Any, str]:
    """fsspec's file system of a URL, in this process, and the path in it."""
    system = _filesystem(location.split("://")[0], os.getpid())
    return system, system._strip_protocol(location)


def version(location: str) -> str:
    """A string that changes with a file: its size and times, or what the server reports.

    Raises:
        InputError: if there is no such file.
    """
    try:
        if not is_remote(location):
            stat = Path(location).stat()
            return f"{stat.st_size} {stat.st_mtime_ns}"
        system, path = filesystem(location)
        facts = attempted(lambda: system.info(path), location)
    except (FileNotFoundError, NotADirectoryError):
        raise InputError("missing", f"{location} does not exist; name the files that do") from None
    except OSError as error:
        raise InputError("unreadable", f"cannot read {location} ({error.strerror or error})") from error
    known = ("size", "ETag", "etag", "md5Hash", "crc32c", "LastModified", "last_modified", "mtime", "created")
    return repr([str(facts[name]) for name in known if facts.get(name) is not None])


def files_key(locations: list[str], versions: list[str]) -> str:
    """A key of a list of files, which changes with each of them."""
    return hashlib.sha256(repr((locations, versions)).encode()).hexdigest()[:32]


def opened(location: str) -> BinaryIO:
    """A file, open for reading from its start."""
    if not is_remote(location):
        return Path(location).open("rb")
    system, path = filesystem(location)
    file: BinaryIO = attempted(lambda: system.open(path, "rb"), location)
    return file


def read_part(location: str, offset: int, size: int, edition: str = "") -> bytes:
    """Some bytes of a file; fewer at its end.

    Args:
        edition: Changes when another file takes its place; the new one is then opened.

    Raises:
        OSError: if they cannot be read.
    """
    if not is_remote(location):
        file = _handle(location, edition, os.getpid())
        if hasattr(os, "pread"):
            return os.pread(file.fileno(), size, offset)
        with _SEEKING:  # on Windows
            file.seek(offset)
            return file.read(size)
    system, path = filesystem(location)
    return attempted(lambda: bytes(system.cat_file(path, start=offset, end=offset + size)), location)


@lru_cache(maxsize=256)
def _handle(location: str, edition: str, process: int) -> BinaryIO:
    return Path(location).open("rb", buffering=0)  # closed when neither the cache nor a reader holds it


def attempted(task: Callable[[], T], location: str) -> T:
    """The result of a task on a remote file, retried after any error except that the file does not exist.

    Raises:
        OSError: if it never succeeds.
    """
    for attempt in range(RETRIES):
        try:
            return task()
        except FileNotFoundError:
            raise
        except Exception as error:  # each of fsspec's file systems has its own
            if attempt == RETRIES - 1:
                raise OSError(errno.EIO, f"{location}: {error or type(error).__name__}") from error
            time.sleep(0.5 * 2**attempt)
    raise AssertionError

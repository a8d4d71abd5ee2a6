"""Where prepared data lies, and what to say when it cannot be written there."""

import json
import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import disk_usage
from typing import Any

from ddpm.system.errors import InputError

FORMAT = 1
"""Raised whenever the same source and geometry would be stored otherwise."""


def cache_folder() -> Path:
    """``$DDPM_CACHE``, or the folder where this system keeps what can be made again."""
    if chosen := os.environ.get("DDPM_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", "~/AppData/Local")).expanduser() / "ddpm"
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "ddpm"


def source_folder(key: str, cache_dir: Path | None = None) -> Path:
    """The folder of all that was made of one source."""
    return (cache_dir or cache_folder()) / f"v{FORMAT}-{key}"


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn what the system says about a full, read-only or forbidden disk into one line.

    Raises:
        InputError: for any OSError within.
    """
    try:
        yield
    except OSError as error:
        raise InputError(
            f"cannot write to {folder} ({error.strerror or error}); set DDPM_CACHE to a writable folder with room"
        ) from error


def check_room(folder: Path, needed: int) -> None:
    """Refuse to begin what the disk cannot hold.

    Raises:
        InputError: if fewer than ``needed`` bytes are free where the folder lies.
    """
    free = disk_usage(folder).free
    if free < needed:
        raise InputError(
            f"the images need {needed / 1e9:.2f} GB, and {free / 1e9:.2f} GB are free in {folder};"
            " set DDPM_CACHE to a folder on a larger disk"
        )


def write_json(path: Path, value: Any) -> None:
    """Write a whole file or none."""
    draft = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        draft.write_text(json.dumps(value), encoding="utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def read_json(path: Path) -> Any:
    """The value, or None if there is no such file or it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None

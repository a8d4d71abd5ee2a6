"""Where the cache lies and what it holds: all that can be made again, by keys that differ where it would."""

import os
import sys
from pathlib import Path
from shutil import disk_usage

from ddpm.system.errors import InputError

FORMAT = 1
"""Raised whenever the same source and geometry would be stored otherwise."""
ADVICE = "set DDPM_CACHE to a writable folder with room"
"""What mends a cache that cannot be written."""


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


def features_file(extractor: str, data: str) -> Path:
    """The features of a data set under a network, by their hashes."""
    return cache_folder() / "features" / f"{extractor}-{data}.npy"


def weights_folder() -> Path:
    """The folder of weights that were fetched."""
    return cache_folder() / "weights"


def check_room(folder: Path, needed: int) -> None:
    """Refuse to begin what the disk cannot hold.

    Raises:
        InputError: if fewer than ``needed`` bytes are free where the folder lies.
    """
    free = disk_usage(folder).free
    if free < needed:
        raise InputError(
            "invalid",
            f"the images need {needed / 1e9:.2f} GB, and {free / 1e9:.2f} GB are free in {folder};"
            " set DDPM_CACHE to a folder on a larger disk",
        )

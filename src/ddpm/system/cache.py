"""The cache folder and the paths in it. Everything there can be rebuilt, and is keyed by the inputs it depends on."""

import os
import sys
from pathlib import Path
from shutil import disk_usage

from ddpm.system.errors import InputError
from ddpm.system.files import with_home

FORMAT = 1
"""Incremented whenever the same source and geometry would be stored differently."""
LIMIT = 200
"""Gigabytes of decoded images, if nothing else is chosen."""
ADVICE = "set DDPM_CACHE to a writable folder with room"
"""The fix for a cache that cannot be written."""


def cache_folder() -> Path:
    """``$DDPM_CACHE``, or the cache folder of the operating system.

    Raises:
        InputError: it is in a home folder that does not exist.
    """
    if chosen := os.environ.get("DDPM_CACHE"):
        place = with_home(chosen)
    elif sys.platform == "win32":
        place = with_home(os.environ.get("LOCALAPPDATA") or "~/AppData/Local") / "ddpm"
    else:
        place = with_home(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "ddpm"
    if str(place).startswith("~"):
        raise InputError("unwritable", f"no home folder is known for the cache, {place}; {ADVICE}")
    return place


def source_folder(key: str, cache_dir: Path | None = None) -> Path:
    """The folder of everything derived from one source."""
    return (cache_dir or cache_folder()) / f"v{FORMAT}-{key}"


def index_folder(key: str) -> Path:
    """The folder of the index of files of many images, named by the files and their versions."""
    return cache_folder() / "index" / f"v{FORMAT}-{key}"


def features_file(extractor: str, data: str) -> Path:
    """The file of a data set's features from one extractor, named by their hashes."""
    return cache_folder() / "features" / f"{extractor}-{data}.npy"


def latents_folder(codec: str, data: str) -> Path:
    """The folder of a data set's latents under one codec, named by their hashes."""
    return cache_folder() / "latents" / f"v{FORMAT}-{codec}-{data}"


def captions_folder(encoder: str, length: int, captions: str) -> Path:
    """The folder of the features of a set of captions, cut at this many tokens, named by hashes."""
    return cache_folder() / "captions" / f"{encoder}-{length}-{captions}"


def weights_folder() -> Path:
    """The folder of downloaded weights."""
    return cache_folder() / "weights"


def cache_room(cache_dir: Path | None = None) -> int:
    """The bytes that decoded images may take: most of the free disk, and at most ``$DDPM_CACHE_LIMIT``, in GB.

    Raises:
        InputError: if that is not a number.
    """
    folder = (cache_dir or cache_folder()).absolute()
    free = disk_usage(next(path for path in (folder, *folder.parents) if path.exists())).free
    limit = os.environ.get("DDPM_CACHE_LIMIT", str(LIMIT))
    try:
        return min(int(0.8 * free), int(1e9 * float(limit)))
    except (ValueError, OverflowError):
        raise InputError(
            "invalid", f"DDPM_CACHE_LIMIT is {limit!r}; use a number of gigabytes, such as {LIMIT}"
        ) from None


def check_room(folder: Path, needed: int, what: str = "the images") -> None:
    """Check that the disk has room before writing to it; ``what`` needs it.

    Raises:
        InputError: if fewer than ``needed`` bytes are free on the folder's disk.
    """
    free = disk_usage(folder).free
    if free < needed:
        raise InputError(
            "unwritable",
            f"{what} need {needed / 1e9:.2f} GB, but only {free / 1e9:.2f} GB are free in {folder};"
            " set DDPM_CACHE to a folder on a larger disk",
        )

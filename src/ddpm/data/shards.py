"""Sources in files of many images: WebDataset's .tar and Parquet, on disk or remote, by an index in the cache."""

import re
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

from ddpm.data.entries import Scan
from ddpm.data.index import columns, extent, facts
from ddpm.data.indexing import indexed
from ddpm.data.locations import expanded, files_key, is_remote, listed, read_part, version
from ddpm.data.parquet import read_parquet, scan_parquet
from ddpm.data.source import Source, stored_items
from ddpm.data.tar import scan_tar
from ddpm.data.tree import SUFFIXES, junk
from ddpm.images.decode import BadImage, check_bytes
from ddpm.system.cache import index_folder
from ddpm.system.console import bar
from ddpm.system.errors import InputError
from ddpm.system.files import with_home

ReadIndexed = Callable[[Path, str], bytes]
"""Reads an image by the folder of its index and its number."""


def read_tar(folder: Path, address: str) -> bytes:
    """The file of an image in a .tar."""
    found = extent(folder, int(address))
    check_bytes(found.size)
    data = read_part(found.location, found.offset, found.size, str(folder))
    if len(data) < found.size:
        raise BadImage("cut off at the end of the .tar")
    return data


KINDS: dict[str, tuple[Scan, ReadIndexed]] = {".tar": (scan_tar, read_tar), ".parquet": (scan_parquet, read_parquet)}
"""By suffix: how to list the images of a file, and how to read one."""
PROBED = 32
"""The images of .tar files whose contents a streamed run depends on: their key has names and sizes only."""
PACKED = (".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".tar.zst")


def shards_of(where: str) -> list[str] | None:
    """The files of many images that a path, a pattern or a URL names, or that a folder holds in place of images.

    Raises:
        InputError: if a pattern or a URL names none.
    """
    path = with_home(where)
    if is_remote(where) or (re.search(r"[*?{]", where) and not path.exists()):
        found = expanded(where)
        if is_remote(where) and len(found) == 1 and not _kind(found[0]):
            found = [name for name in listed(where) if _kind(name)]
        if not found:
            raise InputError("missing", f"{where} matches no files; name .tar or .parquet files")
        return found
    if path.is_dir():
        inside = [str(entry) for entry in path.iterdir() if entry.is_file() and not entry.name.startswith(".")]
        if not any(map(_kind, inside)) and (path / "data").is_dir():  # as in a data set of the Hugging Face Hub
            inside = [str(entry) for entry in (path / "data").iterdir() if entry.is_file()]
        found = sorted(filter(_kind, inside))
        if found and (picture := _picture(path)):
            raise InputError(
                "conflict", f"{where} holds {found[0]} and the image {picture}; name those to use, or move one away"
            )
        return found or None
    return [str(path)] if path.is_file() and (_kind(where) or where.lower().endswith(PACKED)) else None


def open_shards(where: str, locations: Sequence[str], split: str | None, max_pixels: int) -> Source:
    """The images of .tar files, or of Parquet files; their index is built once.

    Args:
        split: Which files to use of those named after a split, such as ``train-00000-of-00002.parquet``; train if None.
        max_pixels: The largest number of pixels of an image to decode.

    Raises:
        InputError: if the files are not all of one of the two kinds, cannot be read, or hold no images.
    """
    if odd := [name for name in locations if not _kind(name)]:
        fix = "unpack it to a plain .tar" if odd[0].lower().endswith(PACKED) else "use .tar or .parquet files"
        raise InputError("unreadable", f"{odd[0]} has an unsupported type; {fix}")
    kinds = sorted({_kind(name) for name in locations})
    if len(kinds) > 1:
        raise InputError(
            "conflict", f"{where} holds {' and '.join(kinds)} files; name those of one kind, as in *{kinds[0]}"
        )
    locations, notes = _of_split(where, locations, split)
    locations = [name if is_remote(name) else str(with_home(name).resolve()) for name in locations]
    scan, read = KINDS[kinds[0]]
    key = files_key(locations, [version(name) for name in locations])
    with bar("indexing") as progress:
        folder = indexed(index_folder(key), locations, scan, progress=progress)
    found = facts(folder)
    if not found.starts[-1]:
        raise InputError("missing", f"{where} holds no images; name files that do")
    stored = columns(folder)
    return Source(
        stored_items(stored, found.classes),
        partial(read, folder),
        key=found.digest[:32],
        version=key,
        probed=PROBED if kinds == [".tar"] else 0,
        classes=found.classes,
        size=found.size,
        ignored=found.ignored,
        notes=notes,
        max_pixels=max_pixels,
        stored=stored,
    )


def _picture(folder: Path) -> Path | None:
    """An image in a folder or its subfolders; None if there is none."""
    within = chain([folder], (one for one in folder.iterdir() if one.is_dir() and not junk(one.name)))
    files = (one for each in within for one in each.iterdir() if not junk(one.name))
    return next((one for one in files if one.suffix.lower() in SUFFIXES), None)


def _kind(name: str) -> str:
    """The suffix of a supported file, else ""."""
    return next((suffix for suffix in KINDS if name.lower().partition("?")[0].endswith(suffix)), "")


def _of_split(where: str, locations: Sequence[str], split: str | None) -> tuple[list[str], tuple[str, ...]]:
    """The files of a split, and a note about the others.

    Raises:
        InputError: if there is no such split, or none that can be chosen automatically.
    """
    names = [re.fullmatch(r"(.*?)-\d+-of-\d+\..*", name.rsplit("/", 1)[-1]) for name in locations]
    files: dict[str, list[str]] = {}
    for found, name in zip(names, locations, strict=True):
        files.setdefault(found[1] if found else "", []).append(name)
    if split is None and len(files) == 1:
        return list(locations), ()
    chosen, known = split or "train", ", ".join(sorted(filter(None, files))) or "none"
    if chosen not in files:
        raise InputError("conflict", f"{where} has no files of the split {chosen}; use --split with one of: {known}")
    others = [name for name in sorted(files) if name != chosen]
    note = f"using only the files of {chosen}, not those of {', '.join(others)}; choose with --split"
    return files[chosen], (note,) if others else ()

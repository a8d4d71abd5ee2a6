"""Building an index: first a part for each file, in parallel, then the whole. Finished parts survive a kill."""

import json
import shutil
import uuid
from array import array
from collections.abc import Iterator, Sequence
from functools import partial
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ddpm.data.entries import Scan
from ddpm.data.index import ENDS, FACTS, IMAGE, IMAGES, TEXTS, complete
from ddpm.data.sweep import cores, in_processes
from ddpm.system.cache import ADVICE
from ddpm.system.errors import InputError
from ddpm.system.filenames import natural, nfc
from ddpm.system.files import disk_errors, flush, write_file, write_json
from ddpm.system.progress import Progress, silent
from ddpm.system.units import say_some

LISTED = 1000
"""The most names of ignored files that are kept."""
NUMBERED = 2**20
"""The most classes that are numbered; larger numbers are names like any other."""

IndexPart = dict[str, npt.NDArray[Any]]


def indexed(
    folder: Path, locations: Sequence[str], scan: Scan, workers: int | None = None, progress: Progress = silent
) -> Path:
    """Build the index of the images in files, unless it is complete; returns the folder that holds it.

    Args:
        folder: Its place in the cache, named by the files and their versions.
        scan: Lists the images of one file.
        workers: The number of processes; None chooses, 0 scans in this process.
        progress: Called with (files done, in total).

    Raises:
        InputError: if a file cannot be read, only some images have a label, or the cache cannot be written.
    """
    whole = folder / "whole"
    if complete(whole):
        return whole
    shutil.rmtree(whole, ignore_errors=True)
    numbers = [k for k in range(len(locations)) if not _part(folder, k).exists()]
    workers = min(cores(), len(numbers)) if workers is None else workers
    task = partial(_scanned, folder, scan)
    done = len(locations) - len(numbers)
    given = [(k, locations[k]) for k in numbers]
    for _ in map(task, given) if workers < 2 else in_processes(task, given, workers):
        done += 1
        progress(done, len(locations))
    draft = folder / f"{uuid.uuid4().hex}.tmp"
    try:
        with disk_errors(folder, ADVICE):
            draft.mkdir(parents=True)
            _merge(folder, draft, list(locations))
            try:
                draft.rename(whole)
            except OSError:
                if not (whole / FACTS).exists():  # else another process was faster
                    raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    for k in range(len(locations)):
        _part(folder, k).unlink(missing_ok=True)
    return whole


def _part(folder: Path, number: int) -> Path:
    return folder / f"part-{number:06}.npz"


def _scanned(folder: Path, scan: Scan, file: tuple[int, str]) -> None:
    """Write the part of one file."""
    number, location = file
    columns = {"offset": array("Q"), "size": array("Q"), "label": array("i"), "folder": array("i"), "ends": array("Q")}
    labels, folders, ignored = dict[str, int](), dict[str, int](), list[str]()
    text, digest, captioned = bytearray(), sha256(), False
    for entry in scan(location, lambda name: ignored.append(name) if len(ignored) < LISTED else None):
        digest.update(repr(entry).encode(errors="surrogateescape"))
        name = entry.name.encode(errors="replace").replace(b"\0", b" ")
        text += name + b"\0" + entry.caption.encode()
        above = entry.name.rpartition("/")[0]
        found = -1 if entry.label is None else labels.setdefault(entry.label, len(labels))
        place = (entry.offset, entry.size, found, folders.setdefault(above, len(folders)), len(text))
        for column, value in zip(columns.values(), place, strict=True):
            column.append(value)
        captioned = captioned or bool(entry.caption)
    content = BytesIO()
    lists = {"labels": list(labels), "folders": list(folders), "ignored": ignored, "captioned": captioned}
    lists |= {"digest": digest.hexdigest()}
    arrays: dict[str, Any] = {name: np.asarray(column) for name, column in columns.items()}
    arrays |= {"text": np.frombuffer(bytes(text), np.uint8), "facts": _packed(lists)}
    np.savez(content, **arrays)
    write_file(_part(folder, number), content.getvalue(), ADVICE)


def _packed(value: Any) -> npt.NDArray[np.uint8]:
    return np.frombuffer(json.dumps(value).encode(), np.uint8)


def _parts(folder: Path, n: int) -> Iterator[tuple[IndexPart, dict[str, Any]]]:
    for k in range(n):
        with np.load(_part(folder, k), allow_pickle=False) as file:
            part: IndexPart = dict(file)
        yield part, json.loads(part["facts"].tobytes())


def _merge(folder: Path, draft: Path, locations: list[str]) -> None:
    """Write the whole index from all parts."""
    every = [(found, len(part["label"])) for part, found in _parts(folder, len(locations))]
    folders = {name for found, _ in every for name in found["folders"]}
    lacking = _without_label(folder, locations)
    by_folder = _classes_of(folders) if lacking == sum(n for _, n in every) else None
    if lacking and by_folder is None:
        raise _unlabelled(folder, locations, lacking)
    named = {name for found, _ in every for name in found["labels"]} if by_folder is None else set(by_folder.values())
    classes = _in_order(named) if by_folder is None else sorted(named, key=natural)
    number = {name: i for i, name in enumerate(classes)}
    digest, starts, size, end, captioned, ignored = sha256(repr(classes).encode()), [0], 0, 0, False, list[str]()
    with (draft / IMAGES).open("wb") as images, (draft / ENDS).open("wb") as ends, (draft / TEXTS).open("wb") as texts:
        for part, found in _parts(folder, len(locations)):
            rows = np.zeros(len(part["label"]), IMAGE)
            rows["offset"], rows["size"] = part["offset"], part["size"]
            column, names = ("label", found["labels"]) if by_folder is None else ("folder", found["folders"])
            own = [number.get(name if by_folder is None else by_folder.get(name, ""), -1) for name in names]
            rows["label"] = np.array([*own, -1], np.int32)[part[column]]
            images.write(rows.tobytes())
            ends.write((part["ends"] + np.uint64(end)).astype("<u8").tobytes())
            texts.write(part["text"].tobytes())
            starts.append(starts[-1] + len(rows))
            size, end = size + int(part["size"].sum()), end + len(part["text"])
            captioned, ignored = captioned or found["captioned"], (ignored + found["ignored"])[:LISTED]
            digest.update(found["digest"].encode())
        for file in (images, ends, texts):  # before the facts, which mark the index as complete
            flush(file)
    lists = {"locations": locations, "starts": starts, "classes": classes, "ignored": ignored}
    write_json(draft / FACTS, lists | {"captioned": captioned, "digest": digest.hexdigest(), "size": size}, ADVICE)


def _without_label(folder: Path, locations: list[str]) -> int:
    return sum(int((part["label"] < 0).sum()) for part, _ in _parts(folder, len(locations)))


def _unlabelled(folder: Path, locations: list[str], n: int) -> InputError:
    """The error for labels that only some images have."""
    names = list[str]()
    for part, _ in _parts(folder, len(locations)):
        for i in np.flatnonzero(part["label"] < 0)[: 3 - len(names)]:
            begin = int(part["ends"][i - 1]) if i else 0
            names.append(part["text"][begin : int(part["ends"][i])].tobytes().split(b"\0")[0].decode())
    rest = f" and {n - len(names):,} more" if n > len(names) else ""
    return InputError(
        "invalid", f"{say_some(names)}{rest} have no label, but other images do; label all of them, or none"
    )


def _classes_of(folders: set[str]) -> dict[str, str]:
    """The class of each folder by the rule for folders on disk; none if an image lies in the common folder."""
    paths = {name: name.split("/") if name else [] for name in folders}
    shortest = min(map(len, paths.values()), default=0)
    depth = next((i for i in range(shortest) if len({path[i] for path in paths.values()}) > 1), shortest)
    if len(paths) < 2 or depth == shortest:
        return {}
    return {name: nfc(path[depth]) for name, path in paths.items()}


def _in_order(names: set[str]) -> list[str]:
    """The classes in the order of their labels: 0 … the largest if all are numbers, else sorted."""
    if names and all(name.isascii() and name.isdigit() and str(int(name)) == name for name in names):
        largest = max(map(int, names))
        if largest < NUMBERED:
            return [str(i) for i in range(largest + 1)]
    return sorted(names, key=natural)

"""The cache of decoded images: a memory-mapped file for each source and geometry."""

import json
import math
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ddpm.config.data import DataConfig
from ddpm.data.columns import Without
from ddpm.data.dataset import Dataset, map_pixels
from ddpm.data.source import Source
from ddpm.data.streamed import Streamed
from ddpm.data.survey import LARGEST, PEEKED, Survey, one_mode, one_size, outline, peek, recall, remember, tally
from ddpm.data.sweep import Finding, sweep
from ddpm.images.decode import BadImage, Look, header
from ddpm.images.geometry import Geometry
from ddpm.system.cache import ADVICE, cache_room, check_room, source_folder
from ddpm.system.errors import InputError
from ddpm.system.files import disk_errors, flush, read_json, write_json
from ddpm.system.progress import Progress, silent

PIXELS = "images.u8"
RECORD = "record.json"
ABANDONED = 3600.0
"""Seconds without a write after which the draft of another build is considered abandoned."""


def prepare(
    source: Source,
    geometry: Geometry,
    *,
    cache_dir: Path | None = None,
    workers: int | None = None,
    skip_bad: bool = False,
    progress: Progress = silent,
) -> Dataset:
    """The valid images of a source in one size and mode; immediate if cached.

    The same pass makes the survey. Drafts are renamed when complete, so a killed build leaves no partial data, and
    concurrent builds do not conflict.

    Args:
        geometry: The size and mode; where one is None, all images must have the same, which is then used.
        cache_dir: The cache folder; the user's if None.
        workers: The number of decoding processes; None chooses by the source's size, 0 decodes in this process.
        skip_bad: Whether to leave out the images that cannot be used.
        progress: Called with (images done, images in total).

    Raises:
        InputError: if images cannot be used or are mixed, or the cache cannot be written.
    """
    parent = source_folder(source.cache_key, cache_dir)
    if source.streamed:
        return _streamed(source, geometry, skip_bad)
    if known := recall(source, cache_dir):
        known.check(skip_bad)
        if dataset := _load(parent / _settled(geometry, known).tag, source):
            return dataset
    if source.streamed is None and _decoded_bytes(source, geometry) > cache_room(cache_dir):
        return _streamed(source, geometry, skip_bad)
    with disk_errors(parent, ADVICE):
        parent.mkdir(parents=True, exist_ok=True)
        _sweep_out(parent)
    draft = parent / f"{uuid.uuid4().hex}.tmp"
    try:
        found = _build(source, geometry, draft, sweep(source, geometry, workers, progress))
        remember(source, found, cache_dir)
        found.check(skip_bad=True)
        folder = parent / _settled(geometry, found).tag
        _publish(draft, folder, source)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    found.check(skip_bad)  # last, so that a retry with skip_bad needs no second pass
    dataset = _load(folder, source)
    assert dataset is not None
    return dataset


def prepare_as(source: Source, data: DataConfig, progress: Progress = silent) -> Dataset:
    """The images of a source, prepared as those of a run.

    Raises:
        InputError: see :func:`prepare`.
    """
    return prepare(source, Geometry(data.size, data.mode, data.fit), skip_bad=data.skip_bad, progress=progress)


def _streamed(source: Source, geometry: Geometry, skip_bad: bool) -> Dataset:
    """The images of a source, decoded as they are read; damaged ones are found, and replaced, only then.

    Raises:
        InputError: if images are known to be unusable, and ``skip_bad`` is false.
    """
    outline(source, {}, {}, {}).check(skip_bad)
    if geometry.size is None or geometry.mode is None:
        sizes, modes = peek(source)
        geometry = replace(geometry, size=geometry.size or one_size(sizes), mode=geometry.mode or one_mode(modes))
    found = source.columns
    how = f"streamed {source.key} {geometry.tag} {source.max_pixels} {source.validation}"
    how += f" {_probe(source)}" if source.probed else ""
    fingerprint = sha256(how.encode()).hexdigest()
    return Dataset(
        Streamed(source, geometry),
        labels=found.labels,
        classes=source.classes,
        captions=found.captions,
        names=found.names,
        fingerprint=fingerprint,
        validation=source.validation,
    )


def _probe(source: Source) -> str:
    """A hash of some images, evenly spread, whose contents the key of the source does not cover.

    Raises:
        InputError: if the disk or the network fails.
    """
    digest = sha256()
    for number in np.linspace(0, len(source) - 1, source.probed).astype(int).tolist():
        try:
            data = source.read(source.address(number))
        except BadImage:
            continue
        except OSError as error:
            raise InputError("unreadable", f"cannot read {source.items[number].name} ({error}); try again") from error
        digest.update(bytes(data))
    return digest.hexdigest()


def _decoded_bytes(source: Source, geometry: Geometry) -> int:
    """The bytes of all images once decoded, judged by the first usable one; 0 for an array, already in memory."""
    if source.size is None:
        return 0
    size, mode = geometry.size, geometry.mode
    for number in range(min(len(source), PEEKED)):
        if size is not None and mode is not None:
            break
        with suppress(BadImage, OSError):
            own_size, own_mode = header(source.read(source.address(number)), source.max_pixels)
            size, mode = size or own_size, mode or own_mode
    return 0 if size is None or mode is None else len(source) * math.prod(size) * len(mode)


def _settled(geometry: Geometry, found: Survey) -> Geometry:
    """The geometry with the common size and mode of all images filled in; InputError if they have several."""
    return replace(geometry, size=geometry.size or one_size(found.sizes), mode=geometry.mode or one_mode(found.modes))


def _build(source: Source, geometry: Geometry, draft: Path, findings: Iterable[Finding]) -> Survey:
    """Write the pixels and the record to the draft folder."""
    digest = sha256()
    shape, left_out = list[int](), list[int]()

    def stored(file: BinaryIO) -> Iterator[Look | str]:
        for i, (look, pixels) in enumerate(findings):
            if isinstance(look, str):
                left_out.append(i)
            if pixels is not None and not shape:
                check_room(draft, pixels.nbytes * len(source))
                shape.extend(pixels.shape)
            # Mixed shapes are rejected once all images are seen; until then, store those of the first shape only.
            if pixels is not None and list(pixels.shape) == shape:
                digest.update(pixels.data)
                file.write(pixels.data)
            yield look

    with disk_errors(draft.parent, ADVICE):
        draft.mkdir()
        with (draft / PIXELS).open("wb") as file:
            found = tally(source, stored(file))
            flush(file)
    if source.stored is None:
        out = set(left_out)
        rest = [(item.label, item.caption) for i, item in enumerate(source.items) if i not in out]
        held = [source.validation] if source.validation else []
        digest.update(json.dumps([shape, source.classes, rest, *held]).encode())
    else:  # whose key is a hash of all labels and captions
        digest.update(json.dumps([shape, source.classes, source.key]).encode())
    record = {"shape": [found.images, *shape], "left_out": left_out, "fingerprint": digest.hexdigest()}
    write_json(draft / RECORD, record, ADVICE)
    return found


def _publish(draft: Path, folder: Path, source: Source) -> None:
    """Rename a complete draft to its final name, unless another process was faster."""
    with disk_errors(folder.parent, ADVICE):
        try:
            draft.rename(folder)
        except OSError:
            if _load(folder, source) is None:  # what is there is damaged, or of an earlier version
                shutil.rmtree(folder, ignore_errors=True)
                draft.rename(folder)


def _load(folder: Path, source: Source) -> Dataset | None:
    record = read_json(folder / RECORD, LARGEST)
    if record is None:
        return None
    pixels = folder / PIXELS
    if not _formed(record) or not pixels.is_file() or pixels.stat().st_size != math.prod(record["shape"]):
        # from an earlier version, edited by hand, or after a power failure
        shutil.rmtree(folder, ignore_errors=True)
        return None
    found = source.columns
    dataset = Dataset(
        pixels=map_pixels(pixels, tuple(record["shape"])),
        labels=found.labels,
        classes=source.classes,
        captions=found.captions,
        names=found.names,
        fingerprint=record["fingerprint"],
        validation=source.validation - sum(i >= len(source) - source.validation for i in record["left_out"]),
    )
    if not record["left_out"]:
        return dataset
    good = Without(len(source), np.array(record["left_out"], np.int64))
    some = dataset.subset(good if source.stored is not None else np.asarray(good))
    some = replace(some, rows=None, validation=dataset.validation)  # the pixels lack the others
    return replace(some, captions=None) if isinstance(some.captions, tuple) and not any(some.captions) else some


def _formed(record: Any) -> bool:
    """Whether a record has all its values."""
    try:
        left_out, hash = record["left_out"], record["fingerprint"]
        n, *size = record["shape"]
        counts = len(size) == 3 and all(type(count) is int and count > 0 for count in (n, *size))
    except (KeyError, TypeError, ValueError):
        return False
    numbers = isinstance(left_out, list) and all(type(number) is int for number in left_out)
    return counts and isinstance(hash, str) and numbers


def _sweep_out(parent: Path) -> None:
    """Remove the drafts of killed builds."""
    for draft in parent.glob("*.tmp"):
        with suppress(OSError):
            newest = max(path.stat().st_mtime for path in [draft, *draft.glob("*")])
            if time.time() - newest > ABANDONED:
                shutil.rmtree(draft, ignore_errors=True)

"""Decode once: a source and a geometry become a mapped file, kept for the next run."""

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

from ddpm.data.dataset import Dataset, map_pixels
from ddpm.data.source import Item, Source
from ddpm.data.survey import Survey, recall, remember, tally
from ddpm.data.sweep import Finding, Look, sweep
from ddpm.images.geometry import Geometry
from ddpm.system.cache import ADVICE, check_room, source_folder
from ddpm.system.files import disk_errors, read_json, write_json
from ddpm.system.progress import Progress, silent

PIXELS = "images.u8"
RECORD = "record.json"
ABANDONED = 3600.0
"""Seconds without a write after which another build's draft counts as left behind."""


def prepare(
    source: Source,
    geometry: Geometry,
    *,
    cache_dir: Path | None = None,
    workers: int | None = None,
    skip_bad: bool = False,
    progress: Progress = silent,
) -> Dataset:
    """The source's good images in one size and mode; instant if they were prepared before.

    The same pass takes the survey. Drafts are renamed when whole, so a build that was killed leaves nothing that
    is used, and two at once do not meet.

    Args:
        geometry: where size or mode is None, all images must have the same, which is as good as to name it.
        cache_dir: instead of the user's cache folder.
        workers: processes that decode; None decides by the source's size, 0 decodes here.
        skip_bad: go on without the images that cannot be used.
        progress: called with (images done, images in all).

    Raises:
        InputError: if images are bad or mixed, or the cache cannot be written.
    """
    parent = source_folder(source.key, cache_dir)
    if known := recall(source, cache_dir):
        known.check(skip_bad)
        if dataset := _load(parent / _settled(geometry, known).tag, source):
            return dataset
    with disk_errors(parent, ADVICE):
        parent.mkdir(parents=True, exist_ok=True)
        _sweep_out(parent)
    draft = parent / f"{uuid.uuid4().hex}.tmp"
    try:
        found = _build(source, geometry, draft, sweep(source, geometry, workers, progress))
        remember(source, found, cache_dir)
        found.check(skip_bad=True)
        folder = parent / _settled(geometry, found).tag
        _publish(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    found.check(skip_bad)  # only now, so that to go on with skip_bad takes no second pass
    dataset = _load(folder, source)
    assert dataset is not None
    return dataset


def _settled(geometry: Geometry, found: Survey) -> Geometry:
    """With the size and mode that all images have, where none is asked for; InputError if they have several."""
    return replace(geometry, size=found.size(geometry.size), mode=found.mode(geometry.mode))


def _build(source: Source, geometry: Geometry, draft: Path, findings: Iterable[Finding]) -> Survey:
    """Write pixels and record into the draft folder."""
    digest = sha256()
    shape: list[int] = []

    def stored(file: BinaryIO) -> Iterator[Look | str]:
        for look, pixels in findings:
            if pixels is not None:
                if not shape:
                    check_room(draft, pixels.nbytes * len(source))
                    shape.extend(pixels.shape)
                # Images of several shapes will be refused; until all are seen, none of the others is stored.
                if list(pixels.shape) == shape:
                    digest.update(pixels.data)
                    with disk_errors(draft.parent, ADVICE):
                        file.write(pixels.data)
            yield look

    with disk_errors(draft.parent, ADVICE):
        draft.mkdir()
        file = (draft / PIXELS).open("wb")
    try:
        found = tally(source, stored(file))
    finally:
        with disk_errors(draft.parent, ADVICE):
            file.close()
    bad = [name for name, _ in found.bad]
    rest = [(item.label, item.caption) for item in _good(source, bad)]
    digest.update(json.dumps([shape, source.classes, rest]).encode())
    record = {"shape": [found.images, *shape], "bad": bad, "fingerprint": digest.hexdigest()}
    write_json(draft / RECORD, record, ADVICE)
    return found


def _publish(draft: Path, folder: Path) -> None:
    """Give a whole draft its name, unless another process was first."""
    with disk_errors(folder.parent, ADVICE):
        try:
            draft.rename(folder)
        except OSError:
            if not (folder / RECORD).exists():
                raise


def _load(folder: Path, source: Source) -> Dataset | None:
    record: dict[str, Any] | None = read_json(folder / RECORD)
    if record is None:
        return None
    pixels = folder / PIXELS
    if not pixels.exists() or pixels.stat().st_size != math.prod(record["shape"]):  # by hand, or the power failed
        shutil.rmtree(folder, ignore_errors=True)
        return None
    items = _good(source, record["bad"])
    labels = None
    if source.classes:
        number = {name: i for i, name in enumerate(source.classes)}
        labels = np.array([number[item.label] for item in items if item.label is not None], np.int64)
    captioned = any(item.caption for item in items)
    return Dataset(
        pixels=map_pixels(pixels, tuple(record["shape"])),
        labels=labels,
        classes=source.classes,
        captions=tuple(item.caption or "" for item in items) if captioned else None,
        names=tuple(item.name for item in items),
        fingerprint=record["fingerprint"],
    )


def _good(source: Source, bad: Iterable[str]) -> list[Item]:
    left_out = set(bad)
    return [item for item in source.items if item.name not in left_out]


def _sweep_out(parent: Path) -> None:
    """Remove the drafts of builds that were killed."""
    for draft in parent.glob("*.tmp"):
        with suppress(OSError):
            newest = max(path.stat().st_mtime for path in [draft, *draft.glob("*")])
            if time.time() - newest > ABANDONED:
                shutil.rmtree(draft, ignore_errors=True)

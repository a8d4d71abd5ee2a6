"""The same images for every way: those to train on, and those held out from all of them."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ddpm.data.arrays import save_npz
from ddpm.data.cache import prepare
from ddpm.data.dataset import Dataset
from ddpm.data.open import open_source
from ddpm.images.geometry import Geometry
from ddpm.system.names import Mode

HELD_OUT = 5
"""One in this many images of each class is held out."""


@dataclass(frozen=True)
class Images:
    """Images for training, in a file that any program can read, and the reference for samples."""

    file: Path
    train: Dataset
    reference: Dataset

    def labels(self, n: int) -> np.ndarray | None:
        """The classes of n samples, (n,), in the proportions of the reference; None without classes."""
        labels = self.reference.labels
        return None if labels is None else np.resize(np.random.default_rng(0).permutation(labels), n)


def split(out: Path, data: str, reference: str | None, size: tuple[int, int] | None, mode: Mode | None) -> Images:
    """Write both sets to a folder, or read them from there.

    Args:
        reference: the source of the held-out images; one in five of ``data`` if None.
    """
    sources, record = {"data": data, "reference": reference, "size": size, "mode": mode}, out / "data.json"
    train, held = out / "train.npz", out / "reference.npz"
    asked = json.dumps(sources)
    if record.exists() and record.read_text() != asked:
        raise SystemExit(f"{out} holds runs on other images: {record.read_text()}; choose another --out")
    if not record.exists():
        images = prepare(open_source(data), Geometry(size, mode))
        if reference is None:
            rows = _one_in(HELD_OUT, images)
            seen, kept = images.subset(np.setdiff1d(np.arange(len(images)), rows)), images.subset(rows)
        else:
            seen, kept = images, prepare(open_source(reference), Geometry(images.shape[:2], images.mode))
            if kept.classes != seen.classes:
                raise SystemExit(f"{reference} has other classes than {data}; use the same names for both")
        out.mkdir(parents=True, exist_ok=True)
        save_npz(seen, train)
        save_npz(kept, held)
        record.write_text(asked)
    return Images(train, prepare(open_source(train), Geometry()), prepare(open_source(held), Geometry()))


def _one_in(k: int, images: Dataset) -> np.ndarray:
    """Every k-th row of each class, in random order, sorted."""
    order = np.random.default_rng(0).permutation(len(images))
    if images.labels is not None:
        order = order[np.argsort(images.labels[order], kind="stable")]
    return np.sort(order[::k])

"""Two sets of the same images, large and small."""

import posixpath
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ddpm.data.cache import prepare
from ddpm.data.dataset import Dataset
from ddpm.data.open import open_source
from ddpm.images.geometry import Geometry
from ddpm.system.errors import InputError
from ddpm.system.names import Fit
from ddpm.system.progress import Progress, silent

LOW = "low_resolution"
"""The kind of condition that small versions are."""

NAMED = 10
"""Images that an error names, at the most."""


def with_low(
    high: Dataset,
    where: str,
    scale: int,
    fit: Fit = "crop",
    *,
    skip_bad: bool = False,
    progress: Progress = silent,
) -> Dataset:
    """Images with their small versions from another source, brought to a size ``scale`` times smaller.

    Raises:
        InputError: sides that do not divide by scale, or images without a partner.
    """
    height, width, _ = high.shape
    if scale < 1 or height % scale or width % scale:
        raise InputError(
            "invalid", f"images of {height} × {width} do not divide by --scale {scale}; give a --size that does"
        )
    small = Geometry((height // scale, width // scale), high.mode, fit)
    return paired(high, prepare(open_source(where), small, skip_bad=skip_bad, progress=progress), where)


def paired(high: Dataset, low: Dataset, where: str) -> Dataset:
    """Each image with its partner: that of the same name, whatever the suffix; labels are those of the large one.

    Raises:
        InputError: images of either set that have none, or more than one.
    """
    rows, stems = _by_name(low, where), _by_name(high, "the large images")
    if alone := [name for name in stems if name not in rows]:
        raise InputError("invalid", f"{_listed(alone)} no partner in {where}; add them there, or take these away")
    if alone := [name for name in rows if name not in stems]:
        raise InputError("invalid", f"{_listed(alone)} no partner among the large images; take them away from {where}")
    return replace(high, partners={LOW: low.subset(np.array([rows[name] for name in stems], np.int64))})


def _by_name(data: Dataset, where: str) -> dict[str, int]:
    """The row of each image by its name without suffix."""
    stems = [posixpath.splitext(name)[0] for name in data.names]
    rows = {stem: i for i, stem in enumerate(stems)}
    if len(rows) < len(stems):
        twice = next(stem for i, stem in enumerate(stems) if rows[stem] != i)
        raise InputError("invalid", f"two images of {where} are called {twice}; a partner must have a name of its own")
    return rows


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more} {'has' if len(names) == 1 else 'have'}"

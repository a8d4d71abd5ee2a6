"""Pairs of large and small images."""

import posixpath
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ddpm.config.run import RunConfig
from ddpm.data.cache import prepare
from ddpm.data.dataset import Dataset
from ddpm.data.open import open_source
from ddpm.images.geometry import Geometry
from ddpm.system.errors import InputError
from ddpm.system.filenames import nfc
from ddpm.system.names import Fit
from ddpm.system.progress import Progress, silent
from ddpm.system.units import say_some

LOW = "low_resolution"
"""The kind of condition of the small images."""


def with_low(
    high: Dataset,
    where: str,
    scale: int,
    fit: Fit = "crop",
    *,
    split: str | None = None,
    skip_bad: bool = False,
    progress: Progress = silent,
) -> Dataset:
    """Images paired with small versions from another source, resized to be ``scale`` times smaller.

    Raises:
        InputError: if scale does not divide the sides, or images have no partner.
    """
    height, width, _ = high.shape
    if scale < 1 or height % scale or width % scale:
        raise InputError(
            "invalid", f"images of {height} × {width} are not divisible by --scale {scale}; use a --size that is"
        )
    small = Geometry((height // scale, width // scale), high.mode, fit)
    return paired(high, prepare(open_source(where, split), small, skip_bad=skip_bad, progress=progress), where)


def with_low_as(high: Dataset, config: RunConfig) -> Dataset:
    """The images of a run, paired with its small images if these come from another source.

    Raises:
        InputError: see :func:`with_low`.
    """
    data, u = config.data, config.upscaling
    if u is None or u.low is None:
        return high
    return with_low(high, u.low, u.scale, data.fit, split=data.split, skip_bad=data.skip_bad)


def paired(high: Dataset, low: Dataset, where: str) -> Dataset:
    """Images paired by name, whatever the suffix; labels come from the large images.

    Raises:
        InputError: if an image of either set has no partner, or more than one.
    """
    rows, stems = _by_name(low, where), _by_name(high, "the large images")
    if alone := [name for name in stems if name not in rows]:
        raise InputError(
            "missing", f"{_listed(alone)} no partner in {where}; add the small images, or remove the large ones"
        )
    if alone := [name for name in rows if name not in stems]:
        raise InputError("missing", f"{_listed(alone)} no partner among the large images; remove these from {where}")
    return replace(high, partners={LOW: low.subset(np.array([rows[name] for name in stems], np.int64))})


def _by_name(data: Dataset, where: str) -> dict[str, int]:
    """The row of each image by name without suffix."""
    stems = [posixpath.splitext(nfc(name))[0] for name in data.names]
    rows = {stem: i for i, stem in enumerate(stems)}
    if len(rows) < len(stems):
        twice = next(stem for i, stem in enumerate(stems) if rows[stem] != i)
        raise InputError("invalid", f"two images of {where} are named {twice}; rename one, as names must be unique")
    return rows


def _listed(names: Sequence[str]) -> str:
    return f"{say_some(names, 10)} {'has' if len(names) == 1 else 'have'}"

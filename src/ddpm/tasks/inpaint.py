"""Inpaint parts of pictures."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image

from ddpm.conditioning import masked_image
from ddpm.config.sampling import SamplingConfig
from ddpm.constraints import Mask, Replacement
from ddpm.core import Cond
from ddpm.engine.run import LoadedRun
from ddpm.engine.task import Task
from ddpm.images.photo import Fill, Photo, Several, alone, opened, several
from ddpm.records.provenance import Work
from ddpm.sampling.grid.repaint import repaint as rising
from ddpm.system.errors import InputError
from ddpm.system.units import say_count
from ddpm.tasks.mask import on_grid, read_mask
from ddpm.tasks.observed import Learned, Method, Repaint, observing, recorded, settled
from ddpm.tasks.seam import extended
from ddpm.tasks.variations import EditRequest, as_given, variations

MASKED = "masked_image"
"""The kind of condition of networks that have learned to inpaint."""


def inpaint(
    run: LoadedRun,
    images: Several,
    mask: Several,
    *,
    method: str | None = None,
    repaint: str | None = None,
    **asked: Any,
) -> Image.Image | list[Image.Image]:
    """Fill in part of each picture; all other pixels stay the same, bit for bit.

    The known pixels correct the expected image at every step, with its covariance (MMPS; Rozet et al. 2024) or without
    (DDNM; Wang et al. 2023); with ``repaint`` they replace those of the noisy image, which is resampled back and forth
    (RePaint; Lugmayr et al. 2022). A network that has learned to inpaint is given the known pixels by default.

    Args:
        images: one or several pictures of the run's size or larger; see :data:`~ddpm.images.photo.Given`.
        mask: one for all pictures, or one each: what is white, coloured or erased is filled in; see
            :func:`~ddpm.tasks.painted.painted`.
        method: "mmps" (default, except for a network that has learned to inpaint), or "ddnm", which is faster but
            blends less well.
        repaint: "JUMPxTIMES", such as "10x10", instead of a method.
        asked: attributes of :class:`EditRequest`, such as n, label, seed and fit, and settings of ``Pipeline.sample``.

    Returns:
        a picture if one was given and n is 1, else a list with n versions of each.

    Raises:
        InputError: unusable pictures, masks or settings.
    """
    request, way = EditRequest.of(asked), settled(method, repaint, learned=run.config.inpainting)
    photos = request.photos(images, run.config.data.size, run.config.data.mode)
    masks = [opened(one) for one in several(mask)] * (len(photos) if alone(mask) else 1)
    if len(masks) != len(photos):
        counts = f"{say_count(len(masks), 'mask')} for {say_count(len(photos), 'picture')}"
        raise InputError("conflict", f"{counts}; use one mask for all pictures, or one per picture")
    fills = [read_mask(one, photo, request.fit) for one, photo in zip(masks, photos, strict=True)]
    works = [
        request.work("inpaint", photo, fill, mask=one.name, **recorded(way))
        for photo, one, fill in zip(photos, masks, fills, strict=True)
    ]
    return as_given(images, filled(run, photos, fills, request, works, way))


def filled(
    run: LoadedRun,
    photos: Sequence[Photo],
    fills: Sequence[Fill],
    request: EditRequest,
    works: Sequence[Work],
    way: Method | Learned | Repaint,
) -> list[Image.Image]:
    """Fill in the given area of each picture, in n versions."""
    grids = [on_grid(fill, run.config.codec.factor) for fill in fills]

    def whole(how: SamplingConfig, rows: list[int]) -> Task:
        made = Task() if way == "network" else task(how, rows)
        return replace(made, condition=_masked(run, photos, fills, rows)) if run.config.inpainting else made

    def task(how: SamplingConfig, rows: list[int]) -> Task:
        pixels = np.stack([extended(photos[row].pixels, fills[row]) for row in rows])
        x0 = run.engine.encoded(pixels)
        # (B, H, W) -> (B, 1, H, W)
        known = torch.from_numpy(~np.stack([grids[row] for row in rows]))[:, None]
        mask = Mask(known.to(x0.device))
        assert way != "network"
        if not isinstance(way, Repaint):
            return observing(way, mask, mask.forward(x0), how, run.config)
        levels = run.engine.grid(how)
        try:
            return Task(rising(levels, *way), constraint=Replacement(mask, mask.forward(x0)))
        except ValueError as e:
            raise InputError("invalid", f"repaint {way} does not fit the grid: {e}") from e

    return variations(run, photos, request, works, whole, fills=fills)


def _masked(
    run: LoadedRun, photos: Sequence[Photo], fills: Sequence[Fill], rows: list[int]
) -> Callable[[Cond | None], Cond]:
    """The conditions of a batch with its masks and the pictures without what they hide."""
    own = sorted({*rows})  # rows repeat to fill a batch
    pixels, hidden = (np.stack([each[row] for row in own]) for each in ([one.pixels for one in photos], fills))
    given, mask = (torch.from_numpy(one).to(run.engine.device) for one in (pixels, hidden))
    raw = masked_image(run.engine.codec.encode, given, mask)[[own.index(row) for row in rows]]

    def condition(cond: Cond | None) -> Cond:
        before = cond or Cond()
        return replace(before, image=raw, raw={**(before.raw or {}), MASKED: raw})

    return condition

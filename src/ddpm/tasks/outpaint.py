"""Outpaint pictures onto a larger canvas."""

from typing import Any

import numpy as np
from PIL import Image

from ddpm.engine.run import LoadedRun
from ddpm.images.photo import Fill, Photo, Several, like
from ddpm.system.errors import InputError
from ddpm.tasks.inpaint import filled
from ddpm.tasks.observed import recorded, settled
from ddpm.tasks.variations import EditRequest, as_given


def outpaint(
    run: LoadedRun,
    images: Several,
    *,
    left: int = 0,
    right: int = 0,
    top: int = 0,
    bottom: int = 0,
    method: str | None = None,
    repaint: str | None = None,
    **asked: Any,
) -> Image.Image | list[Image.Image]:
    """Extend pictures beyond their edges, in overlapping windows of the run's size; the pictures stay the same.

    Args:
        left, right, top, bottom: the number of pixels to add.
        images, method, repaint, asked: see :func:`~ddpm.tasks.inpaint.inpaint`.

    Raises:
        InputError: nothing to add, or unusable pictures or settings.
    """
    sides = {"left": left, "right": right, "top": top, "bottom": bottom}
    if wrong := [f"{name} {value}" for name, value in sides.items() if value < 0]:
        raise InputError("invalid", f"{wrong[0]} is negative; use the number of pixels to add, at least 0")
    if not any(sides.values()):
        raise InputError("missing", "there is nothing to add; use --left, --right, --top or --bottom, as in --left 16")
    request, way = EditRequest.of(asked), settled(method, repaint, learned=run.config.inpainting)
    given = request.photos(images, run.config.data.size, run.config.data.mode)
    larger = [on_canvas(photo, (top, bottom), (left, right)) for photo in given]
    photos, fills = [photo for photo, _ in larger], [fill for _, fill in larger]
    works = [request.work("outpaint", photo, **sides, **recorded(way)) for photo in photos]
    return as_given(images, filled(run, photos, fills, request, works, way))


def on_canvas(photo: Photo, rows: tuple[int, int], columns: tuple[int, int]) -> tuple[Photo, Fill]:
    """Pad a picture with rows above and below and columns left and right; return it with the area to fill."""
    fill = np.pad(np.zeros(photo.size, bool), (rows, columns), constant_values=True)
    own = np.asarray(photo.image)
    image = like(Image.fromarray(np.pad(own, (rows, columns, *[(0, 0)] * (own.ndim - 2)))), photo.image)
    return Photo(photo.name, photo.given, image, np.pad(photo.pixels, (rows, columns, (0, 0)))), fill

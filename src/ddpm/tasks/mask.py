"""Masks as pictures: what is white or erased is filled in, the rest is kept."""

import numpy as np
from PIL import Image

from ddpm.images.geometry import Geometry
from ddpm.images.photo import Fill, Given, Photo, opened
from ddpm.system.errors import InputError
from ddpm.system.names import Fit
from ddpm.tasks.painted import HALF, painted, scaled

TINT = np.array([255, 0, 80])


def read_mask(given: Given, photo: Photo, fit: Fit | None = None) -> Fill:
    """Read the mask of a picture, (H, W) bool, True where it is filled in; see :func:`read_marked`."""
    return read_marked(given, photo, fit)[0]


def read_marked(given: Given, photo: Photo, fit: Fit | None = None) -> tuple[Fill, str]:
    """Read the mask of a picture, and say in words which part of it is filled in; see :func:`painted`.

    Args:
        fit: how the picture was resized to the run's size; a mask of its original size is resized alike: any pixel
            that mixes in a marked one is filled in, so that nothing masked remains; a margin is kept. A mask of another
            size with the same proportions is scaled.

    Raises:
        InputError: the mask has other proportions, or marks nothing or everything.
    """
    mask, image = opened(given)
    mask = "the mask" if mask == "the image" else f"the mask {mask}"
    fill, part = painted(image, photo.given, mask)
    if fit is not None and image.size == photo.given.size:
        fill = Geometry(photo.size, fit=fit).reach(fill)
    height, width = photo.size
    if fill.shape != photo.size:
        larger = scaled(fill, photo.size)
        if larger is None:
            raise InputError(
                "incompatible",
                f"{mask} is {image.height} × {image.width} (height × width), but {photo.name} is "
                f"{height} × {width}; use a mask of the picture's size, or of the same proportions",
            )
        fill, part = larger, f"{part}, scaled from {image.height} × {image.width},"
    if not fill.any():
        raise InputError(
            "invalid",
            f"{mask} marks nothing to fill in at {height} × {width}, as it is all black; paint the area to fill white "
            f"({HALF} to 255), or erase it",
        )
    if fill.all():
        raise InputError(
            "invalid",
            f"{mask} marks everything at {height} × {width}, which keeps nothing; paint what to keep black, or use "
            "`ddpm sample` for new images",
        )
    return fill, part


def on_grid(fill: Fill, factor: int) -> Fill:
    """The positions of x to fill, (H / factor, W / factor) rounded down: those whose block has a pixel to fill.

    Raises:
        InputError: every position has one.
    """
    height, width = (n // factor for n in fill.shape)
    found: Fill = np.asarray(
        fill[: height * factor, : width * factor].reshape(height, factor, width, factor).any((1, 3))
    )
    if found.all():
        raise InputError(
            "invalid",
            f"the mask leaves no whole block of {factor} × {factor} pixels known, the smallest area that this run can "
            "keep; leave a larger area black",
        )
    return found


def preview(photo: Photo, fill: Fill) -> Image.Image:
    """Return the picture in RGB, with the area to fill tinted red."""
    seen = photo.pixels[..., :3].repeat(3 // min(3, photo.pixels.shape[-1]), -1)
    return Image.fromarray(np.where(fill[..., None], (seen // 4 + 0.75 * TINT).astype(np.uint8), seen))

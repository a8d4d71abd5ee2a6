"""Masks as pictures: white is filled in, black is kept."""

import numpy as np
from PIL import Image

from ddpm.images.geometry import Geometry
from ddpm.images.photo import Fill, Given, Photo, opened
from ddpm.images.pixels import to_8_bits
from ddpm.system.errors import InputError
from ddpm.system.names import Fit

HALF = 128
"""The darkest grey that counts as white."""

TINT = np.array([255, 0, 80])


def read_mask(given: Given, photo: Photo, fit: Fit | None = None) -> Fill:
    """Read the mask of a picture, (H, W) bool, True where it is filled in; greys count as the nearer of the two.

    Transparent pixels of the mask count as black.

    Args:
        fit: how the picture was resized to the run's size; a mask of its original size is resized alike: any pixel
            that mixes in white is filled in, so that nothing masked remains; a margin is kept.

    Raises:
        InputError: the mask has another size, or is all black or all white.
    """
    mask, image = opened(given)
    mask = "the mask" if mask == "the image" else f"the mask {mask}"
    fill = np.asarray(_grey(image)) >= HALF
    if fit is not None and image.size == photo.given.size:
        fill = Geometry(photo.size, fit=fit).reach(fill)
    height, width = photo.size
    if fill.shape != photo.size:
        raise InputError(
            "incompatible",
            f"{mask} is {image.height} × {image.width} (height × width), but {photo.name} is "
            f"{height} × {width}; use a mask of the picture's size",
        )
    if not fill.any():
        raise InputError(
            "invalid",
            f"{mask} is all black at {height} × {width}, which leaves nothing to fill in; paint the area to "
            f"fill white ({HALF} to 255)",
        )
    if fill.all():
        raise InputError(
            "invalid",
            f"{mask} is all white at {height} × {width}, which keeps nothing; for new images use `ddpm sample`",
        )
    return fill


def on_grid(fill: Fill, factor: int) -> Fill:
    """The positions of x to fill, (H / factor, W / factor) rounded down: those whose block has a pixel to fill.

    Raises:
        InputError: all of them do.
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


def _grey(image: Image.Image) -> Image.Image:
    """Convert to mode L."""
    if image.mode == "I;16":
        return Image.fromarray(to_8_bits(np.asarray(image)))
    if image.mode in ("LA", "RGBA"):
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image.convert("RGBA"))
    return image.convert("L")

"""What is to be drawn anew, as a picture: white is filled in, black is kept."""

import numpy as np
from PIL import Image

from ddpm.images.depth import to_8_bits
from ddpm.images.geometry import Geometry
from ddpm.images.photo import Fill, Given, Photo, opened
from ddpm.system.errors import InputError
from ddpm.system.names import Fit

HALF = 128
"""The darkest grey that counts as white."""

TINT = np.array([255, 0, 80])


def read_mask(given: Given, photo: Photo, fit: Fit | None = None) -> Fill:
    """The mask of a picture, (H, W) bool, True where it is to be filled; greys count as the nearer of both.

    What is transparent in the mask counts as black.

    Args:
        fit: how the picture was brought to the run's size, to which a mask of its own size is then brought as well:
            whatever has a white pixel mixed in is filled, so that nothing of it is left; a margin is kept.

    Raises:
        InputError: of another size, or nothing to fill, or nothing known.
    """
    name, image = opened(given)
    fill = np.asarray(_grey(image)) >= HALF
    if fit is not None and image.size == photo.given.size:
        fill = Geometry(photo.size, fit=fit).reach(fill)
    height, width = photo.size
    if fill.shape != photo.size:
        raise InputError(
            "invalid",
            f"the mask {name} is {image.height} × {image.width} and {photo.name} {height} × {width} (height × width); "
            "give a mask of the picture's size",
        )
    if not fill.any():
        raise InputError(
            "invalid",
            f"the mask {name} is black all over, at {height} × {width}: nothing to fill in; paint white (from {HALF} "
            "of 255 on) what shall be drawn",
        )
    if fill.all():
        raise InputError(
            "invalid",
            f"the mask {name} is white all over, at {height} × {width}: nothing is kept; for new images use "
            "`ddpm sample`",
        )
    return fill


def preview(photo: Photo, fill: Fill) -> Image.Image:
    """The picture, RGB, with what will be filled in tinted red."""
    seen = photo.pixels[..., :3].repeat(3 // min(3, photo.pixels.shape[-1]), -1)
    return Image.fromarray(np.where(fill[..., None], (seen // 4 + 0.75 * TINT).astype(np.uint8), seen))


def _grey(image: Image.Image) -> Image.Image:
    """Of mode L."""
    if image.mode == "I;16":
        return Image.fromarray(to_8_bits(np.asarray(image)))
    if image.mode in ("LA", "RGBA"):
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image.convert("RGBA"))
    return image.convert("L")

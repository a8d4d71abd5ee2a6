"""Contact sheets and PNG files from 8-bit arrays."""

import math
from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ddpm.images.pixels import Pixels, to_8_bits
from ddpm.images.profiles import srgb

LEAST = 64
"""The minimum side of a picture on a sheet, in pixels."""

MOST_DPI = 1e6
"""The highest resolution that is kept."""


def factor(side: int, least: int = LEAST) -> int:
    """The integer factor that enlarges a side to at least this many pixels."""
    return max(1, -(-least // side))


def enlarged(images: Pixels, factor: int) -> Pixels:
    """Images (…, H, W, C) with each side enlarged by an integer factor."""
    return images.repeat(factor, -3).repeat(factor, -2)


def picture(image: Pixels) -> Image.Image:
    """(H, W, C) uint8 with one, three or four channels, as L, RGB or RGBA."""
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def png(image: Image.Image, info: PngInfo | None = None) -> bytes:
    """The PNG file of a picture, as bytes, with text chunks if given; with its profile, resolution and EXIF."""
    file = BytesIO()
    image.save(file, "PNG", pnginfo=info, dpi=_resolution(image), exif=image.info.get("exif") or None)
    return file.getvalue()


def _resolution(image: Image.Image) -> tuple[float, float] | None:
    """The dots per inch of a picture, (horizontal, vertical); None if it has no sensible ones."""
    given = image.info.get("dpi")
    try:
        across, down = map(float, given or ())
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 0 < across < MOST_DPI and 0 < down < MOST_DPI else None


def opaque(image: Image.Image) -> Image.Image:
    """A picture as 8-bit RGB in sRGB, composited on white."""
    return on_white(srgb(plain(image))).convert("RGB")


def on_white(image: Image.Image) -> Image.Image:
    """An RGBA picture composited on white, still RGBA; any other is unchanged."""
    if image.mode != "RGBA":
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)


def plain(image: Image.Image) -> Image.Image:
    """A picture of mode L, LA, I;16, RGB or RGBA as L, RGB or RGBA, in the same colour space."""
    if image.mode == "I;16":
        made = Image.fromarray(to_8_bits(np.asarray(image)))
        made.info = dict(image.info)
        return made
    return image.convert("RGBA") if image.mode == "LA" else image


def sheet(images: Pixels, columns: int | None = None, gap: int = 2, least: int = LEAST) -> Image.Image:
    """A contact sheet of images, row by row, all enlarged by one integer factor if small.

    Args:
        images: (N, H, W, C) uint8.
        columns: The images per row; about square if None.
        gap: The pixels between images, white (transparent with an alpha channel).
        least: The minimum side of an image, in pixels.
    """
    images = enlarged(images, factor(min(images.shape[1:3]), least))
    n, h, w, c = images.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    fill = 0 if c == 4 else 255
    page = np.full((rows * (h + gap) - gap, columns * (w + gap) - gap, c), fill, np.uint8)
    for i, image in enumerate(images):
        y, x = (i // columns) * (h + gap), (i % columns) * (w + gap)
        page[y : y + h, x : x + w] = image
    return picture(page)


def beside(images: Sequence[Image.Image], gap: int = 12) -> Image.Image:
    """Pictures of one mode side by side, on white."""
    size = sum(image.width + gap for image in images) - gap, max(image.height for image in images)
    page = Image.new(images[0].mode, size, "white")
    left = 0
    for image in images:
        page.paste(image, (left, 0))
        left += image.width + gap
    return page


def row(images: Sequence[Image.Image], tall: int = 128, gap: int = 4) -> Image.Image:
    """Pictures of any mode and size side by side, RGB on white, all enlarged by one integer factor if small.

    Args:
        tall: The minimum height of the tallest picture, in pixels.
    """
    times = factor(max(image.height for image in images), tall)
    return beside([picture(enlarged(np.asarray(opaque(image)), times)) for image in images], gap)

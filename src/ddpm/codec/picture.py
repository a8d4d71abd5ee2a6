"""8-bit arrays as pictures that people open."""

import math

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]


def picture(image: Pixels) -> Image.Image:
    """(H, W, C) uint8 with one, three or four channels, as L, RGB or RGBA."""
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def opaque(image: Image.Image) -> Image.Image:
    """As RGB, what is transparent on white."""
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def sheet(images: Pixels, columns: int | None = None, gap: int = 2) -> Image.Image:
    """Many images on one picture, row by row.

    Args:
        images: (N, H, W, C) uint8.
        columns: images in a row; about square if None.
        gap: pixels between images, white (transparent with an alpha channel).
    """
    n, h, w, c = images.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    fill = 0 if c == 4 else 255
    page = np.full((rows * (h + gap) - gap, columns * (w + gap) - gap, c), fill, np.uint8)
    for i, image in enumerate(images):
        y, x = (i // columns) * (h + gap), (i % columns) * (w + gap)
        page[y : y + h, x : x + w] = image
    return picture(page)


def beside(left: Image.Image, right: Image.Image, gap: int = 12) -> Image.Image:
    """Two pictures of one mode next to each other."""
    page = Image.new(left.mode, (left.width + gap + right.width, max(left.height, right.height)), "white")
    page.paste(left, (0, 0))
    page.paste(right, (left.width + gap, 0))
    return page

"""Limits for pictures of very many pixels, and JPEGs decoded at a fraction of their size."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from PIL import Image

from ddpm.system.limits import MOST_PIXELS

MAX_PIXELS = MOST_PIXELS
"""Twice Pillow's limit for a decompression bomb."""
MAX_REDUCED = 2**29
"""The most pixels of a JPEG that is reduced: decoding one that stores its colours in turn takes 6 bytes for each."""
UNLIMITED = 2**62
MARGIN = 2
"""The least ratio of the size of a reduced picture to that needed, before it is resized."""
FULL = "full size"
"""The key of ``image.info`` for the size, (W, H), of a picture that was reduced while it was decoded."""


_ONE = Lock()


@contextmanager
def limited(most: int) -> Iterator[None]:
    """Have Pillow refuse pictures of more than this many pixels, rather than its own number."""
    with _ONE:
        own, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, most // 2
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = own


def reduce(image: Image.Image, least: tuple[int, int]) -> None:
    """Have an opened JPEG decoded at the first of 1/8, 1/4, 1/2 that covers twice ``least``, (H, W), turned or not.

    Any other picture is left alone, as is a progressive JPEG, which is held in memory as a whole to be decoded.
    """
    size, share = image.size, MARGIN * max(least) / min(image.size)
    jpeg = image.format in ("JPEG", "MPO") and "progressive" not in image.info
    if jpeg and share < 1 and size[0] * size[1] <= MAX_REDUCED:
        image.info[FULL] = size
        image.draft(None, (math.ceil(size[0] * share), math.ceil(size[1] * share)))

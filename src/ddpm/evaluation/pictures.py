"""The pictures next to a score: the samples, and the pairs closest to training images."""

import numpy as np
from PIL import Image, ImageDraw

from ddpm.data.dataset import Images
from ddpm.images.sheets import enlarged, factor, opaque, picture, png, sheet
from ddpm.records.score import Memorisation

SHOWN = 64
PAIRS = 16
TALL = 64
"""The minimum height in pixels of a picture in a pair; smaller ones are enlarged by whole factors."""


def first(images: Images) -> bytes:
    """Draw the first 64 images on one sheet, as a PNG."""
    return png(sheet(images.read(np.arange(min(SHOWN, len(images))))))


def closest(found: Memorisation, samples: Images, training: Images) -> bytes:
    """Draw the closest pairs, four to a row, as a PNG: the sample on the left, the training image on the right.

    Copies have a red frame.
    """
    pairs = found.closest[:PAIRS]
    height, width, _ = samples.shape
    times = factor(height, TALL)
    gap, margin = 2 * times, 4 * times
    wide, high = 2 * width * times + gap + 2 * margin, height * times + 2 * margin
    columns = min(4, len(pairs))
    page = Image.new("RGB", (columns * wide, -(-len(pairs) // columns) * high), "white")
    draw = ImageDraw.Draw(page)
    for k, pair in enumerate(pairs):
        x, y = (k % columns) * wide, (k // columns) * high
        if pair.copied:
            frame = (x + margin // 2, y + margin // 2, x + wide - margin // 2 - 1, y + high - margin // 2 - 1)
            draw.rectangle(frame, outline="#d03030", width=max(2, times))
        for j, (images, place) in enumerate(zip((samples, training), pair.places, strict=True)):
            one = opaque(picture(enlarged(images.read(np.array([place]))[0], times)))
            page.paste(one, (x + margin + j * (width * times + gap), y + margin))
    return png(page)

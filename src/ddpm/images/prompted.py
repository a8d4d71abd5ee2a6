"""Sheets of images with a prompt next to each row."""

from collections.abc import Iterator, Sequence
from textwrap import wrap

from PIL import Image, ImageDraw, ImageFont

from ddpm.images.pixels import Pixels
from ddpm.images.sheets import opaque, sheet

TEXT, FONT, LINE, LETTERS = 220, 13, 16, 30
"""Pixels of the column of prompts, of a letter and of a line, and the letters of a line."""
GAP = 2


def prompted(images: Pixels, prompts: Sequence[str]) -> Image.Image:
    """A sheet with a row for each prompt, which is written on its left; RGB on white.

    Args:
        images: (rows · columns, H, W, C) uint8, row by row.
    """
    block = opaque(sheet(images, len(images) // len(prompts), GAP))
    page = Image.new("RGB", (TEXT + block.width, block.height), "white")
    page.paste(block, (TEXT, 0))
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(FONT)
    step = (block.height + GAP) // len(prompts)
    for row, prompt in enumerate(prompts):
        lines = wrap(prompt, LETTERS, max_lines=max(1, (step - GAP) // LINE), placeholder=" …")
        middle = (TEXT - 8, row * step + (step - GAP) / 2)
        draw.text(middle, "\n".join(lines), "black", font, anchor="rm", align="right", spacing=2)
    return page


def rows_of(page: Image.Image, n: int) -> Iterator[Image.Image]:
    """The images of each row of a sheet of n prompts, without these."""
    step = (page.height + GAP) // n
    for row in range(n):
        yield page.crop((TEXT, row * step, page.width, (row + 1) * step - GAP))

"""Draw sampling trajectories as GIFs and strips, and interpolations as GIFs."""

from collections.abc import Sequence
from io import BytesIO

from PIL import Image, ImageDraw, ImageFont

from ddpm.engine.trajectory import Stage, spread
from ddpm.images.pixels import Pixels
from ddpm.images.sheets import opaque, picture
from ddpm.report.canvas import FAINT
from ddpm.report.trajectory import ratio

TALL, STRIP = 160, 96
"""The minimum height in pixels of an image in a GIF and in a strip; smaller ones are enlarged by whole factors."""
LASTS, SLOWEST, FASTEST, HELD = 2400, 300, 60, 1500
"""Milliseconds: of all frames but the last together, the bounds of each of these, and of the last."""
PACE = 120
"""Milliseconds per frame if all last equally long."""
COLUMNS = 9
FONT = 13
GAP, TITLE, CAPTION = 4, 26, 38
"""Pixels of a strip: between images, left of a row, and above the columns."""


def gif(stages: Sequence[Stage], i: int) -> bytes:
    """Animate image i with a frame per stage: x on the left, the expected x0 on the right."""
    frames = [_frame(stage.x[i], stage.x0[i]) for stage in stages]
    each = min(SLOWEST, max(FASTEST, LASTS // len(frames) // 10 * 10))  # a GIF counts in hundredths of a second
    lasts = [each] * (len(frames) - 1) + [HELD]
    file = BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=lasts, loop=0)
    return file.getvalue()


def to_and_fro(images: Sequence[Image.Image]) -> bytes:
    """Animate pictures forwards and backwards in an endless GIF."""
    frames = [_enlarged(opaque(image).quantize(256), TALL) for image in (*images, *images[-2:0:-1])]
    file = BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=PACE, loop=0)
    return file.getvalue()


def _frame(x: Pixels, x0: Pixels) -> Image.Image:
    """Draw a frame, reduced to 256 colours before it is enlarged, so that each pixel stays one colour."""
    left, right = _shown(x), _shown(x0)
    gap = max(1, left.width // 32)
    page = Image.new("RGB", (2 * left.width + gap, left.height), "white")
    page.paste(left, (0, 0))
    page.paste(right, (left.width + gap, 0))
    return _enlarged(page.quantize(256), TALL)


def strip(stages: Sequence[Stage], i: int) -> bytes:
    """Draw image i at evenly spread stages: x above, the expected x0 below, with the timestep and the SNR."""
    chosen = [stages[k] for k in spread(len(stages) - 1, COLUMNS)]
    rows = [[_enlarged(_shown(images[i]), STRIP) for images in (stage.x, stage.x0)] for stage in chosen]
    wide, high = rows[0][0].size
    step = max(wide, STRIP) + GAP
    page = Image.new("RGB", (TITLE + len(chosen) * step, CAPTION + 2 * (high + GAP)), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(FONT)
    for row, name in enumerate(("x", "x0")):
        middle = (TITLE / 2, CAPTION + row * (high + GAP) + high / 2)
        draw.text(middle, name, FAINT, font, anchor="mm")
    for column, (stage, pair) in enumerate(zip(chosen, rows, strict=True)):
        left = TITLE + column * step + (step - GAP - wide) // 2
        # Pillow's own font has no minus sign
        for line, text in enumerate((f"t = {stage.index}", ratio(stage.level).replace("−", "-"))):
            draw.text((left + wide / 2, 10 + 16 * line), text, FAINT, font, anchor="mm")
        for row, image in enumerate(pair):
            page.paste(image, (left, CAPTION + row * (high + GAP)))
    file = BytesIO()
    page.save(file, "PNG")
    return file.getvalue()


def _shown(image: Pixels) -> Image.Image:
    return opaque(picture(image))


def _enlarged(image: Image.Image, tall: int) -> Image.Image:
    """Enlarge an image by the smallest whole factor that makes it this tall, each pixel a square."""
    factor = max(1, -(-tall // image.height))
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)

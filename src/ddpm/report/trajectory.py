"""Draw sampling trajectories: x and the expected x0 at some stages, as a figure, as GIFs and as strips."""

import math
from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ddpm.core import Level
from ddpm.engine.trajectory import Stage, spread
from ddpm.images.pixels import Pixels
from ddpm.images.sheets import beside, factor, opaque, picture, sheet
from ddpm.records.provenance import MADE_BY
from ddpm.report.canvas import DPI, FAINT, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIDE, MARGIN, SPACE, TOP = 0.62, 0.1, 0.3, 0.62
"""Inches of a figure: the approximate width of an image, the outer margin, between the blocks, and above them."""
TALL, STRIP = 160, 96
"""The minimum height in pixels of an image in a GIF and in a strip; smaller ones are enlarged by whole factors."""
LASTS, SLOWEST, FASTEST, HELD = 2400, 300, 60, 1500
"""Milliseconds: the total of all frames but the last, the bounds of each of these, and the last one's."""
PACE = 120
"""Milliseconds per frame if all last equally long."""
COLUMNS = 9
FONT = 13
GAP, TITLE, CAPTION = 4, 26, 38
"""Pixels of a strip: between images, left of a row, and above the columns."""


def draw(stages: Sequence[Stage]) -> "Figure":
    """Draw two blocks side by side, x and the expected x0: a row for each sample, a column for each stage."""
    n, height, width, channels = stages[0].x.shape
    gap = max(1, width // 16)
    blocks = {
        # (stages, n, H, W, C) -> rows of one sample each
        title: np.asarray(sheet(np.stack(images, 1).reshape(-1, height, width, channels), len(stages), gap, least=1))
        for title, images in (
            ("x, the noisy image", [stage.x for stage in stages]),
            ("x0, the predicted clean image", [stage.x0 for stage in stages]),
        )
    }
    # each pixel of an image is a whole number of pixels of the PNG
    enlarged = max(1, round(SIDE * DPI / width)) / DPI
    tall, wide = ((m * (size + gap) - gap) * enlarged for m, size in ((n, height), (len(stages), width)))
    size = (2 * MARGIN + SPACE + 2 * wide, tall + TOP + MARGIN)
    with style():
        from matplotlib.figure import Figure

        fig = Figure(size)
        for k, (title, pixels) in enumerate(blocks.items()):
            left = MARGIN + k * (wide + SPACE)
            ax = fig.add_axes((left / size[0], MARGIN / size[1], wide / size[0], tall / size[1]))
            ax.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest", aspect="auto")
            ax.set_axis_off()
            _write(ax, title, (-0.5, -0.5), 27, ha="left")
            for column, stage in enumerate(stages):
                middle = column * (width + gap) + (width - 1) / 2
                _write(ax, f"t {stage.index}\n{snr_label(stage.level)}", (middle, -0.5), 4, ha="center", fontsize=7)
    return fig


def _write(ax: "Axes", text: str, place: tuple[float, float], above: float, **how: Any) -> None:
    """Write text ``above`` points over a position."""
    ax.annotate(text, place, xytext=(0, above), textcoords="offset points", va="bottom", annotation_clip=False, **how)


def snr_label(level: Level) -> str:
    """Format the signal-to-noise ratio in decibels."""
    if level.clean:
        return "clean"
    snr = float(level.snr)
    if snr == 0:
        return "noise"
    decibels = round(10 * math.log10(snr))
    return f"{decibels:+d} dB".replace("-", "−") if decibels else "0 dB"


def gif(stages: Sequence[Stage], i: int) -> bytes:
    """Animate image i with a frame per stage: x on the left, the expected x0 on the right."""
    gap = max(1, stages[0].x.shape[2] // 32)
    frames = [_frame(beside([_shown(stage.x[i]), _shown(stage.x0[i])], gap)) for stage in stages]
    each = min(SLOWEST, max(FASTEST, LASTS // len(frames) // 10 * 10))  # a GIF counts in hundredths of a second
    return _gif(frames, [each] * (len(frames) - 1) + [HELD])


def to_and_fro(images: Sequence[Image.Image]) -> bytes:
    """Animate pictures forwards and backwards in an endless GIF."""
    frames = [_frame(opaque(image)) for image in (*images, *images[-2:0:-1])]
    return _gif(frames, PACE)


def _gif(frames: Sequence[Image.Image], duration: int | list[int]) -> bytes:
    file = BytesIO()
    made_by = MADE_BY[1].encode()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=duration, loop=0, comment=made_by)
    return file.getvalue()


def _frame(page: Image.Image) -> Image.Image:
    """Reduce a frame to 256 colours before it is enlarged, so that each pixel stays one colour."""
    return _enlarged(page.quantize(256), TALL)


def strip(stages: Sequence[Stage], i: int) -> Image.Image:
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
        for line, text in enumerate((f"t = {stage.index}", snr_label(stage.level).replace("−", "-"))):
            draw.text((left + wide / 2, 10 + 16 * line), text, FAINT, font, anchor="mm")
        for row, image in enumerate(pair):
            page.paste(image, (left, CAPTION + row * (high + GAP)))
    return page


def _shown(image: Pixels) -> Image.Image:
    return opaque(picture(image))


def _enlarged(image: Image.Image, tall: int) -> Image.Image:
    """Enlarge an image by the smallest whole factor that makes it this tall, each pixel a square."""
    times = factor(image.height, tall)
    return image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)

"""Plot the sampling trajectory: x and the expected x0 at some stages."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ddpm.core import Level
from ddpm.engine.trajectory import Stage
from ddpm.images.sheets import sheet
from ddpm.report.canvas import DPI, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIDE, MARGIN, SPACE, TOP = 0.62, 0.1, 0.3, 0.62
"""Inches: the approximate width of an image, the outer margin, between the blocks, and above them."""


def draw(stages: Sequence[Stage]) -> "Figure":
    """Draw two blocks side by side, x and the expected x0: a row for each sample, a column for each stage."""
    n, height, width, channels = stages[0].x.shape
    gap = max(1, width // 16)
    blocks = {
        # (stages, n, H, W, C) -> rows of one sample each
        title: np.asarray(sheet(np.stack(images, 1).reshape(-1, height, width, channels), len(stages), gap, least=1))
        for title, images in (
            ("x, the noisy image", [stage.x for stage in stages]),
            ("x0, the expected image", [stage.x0 for stage in stages]),
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
                _write(ax, f"t {stage.index}\n{ratio(stage.level)}", (middle, -0.5), 4, ha="center", fontsize=7)
    return fig


def _write(ax: "Axes", text: str, place: tuple[float, float], above: float, **how: Any) -> None:
    """Write text ``above`` points over a position."""
    ax.annotate(text, place, xytext=(0, above), textcoords="offset points", va="bottom", annotation_clip=False, **how)


def ratio(level: Level) -> str:
    """Format the signal-to-noise ratio in decibels."""
    if level.clean:
        return "clean"
    snr = float(level.snr)
    if snr == 0:
        return "noise"
    decibels = round(10 * math.log10(snr))
    return f"{decibels:+d} dB".replace("-", "−") if decibels else "0 dB"

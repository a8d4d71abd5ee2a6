"""How samples come to be: what the sampler holds, and what it expects, at some stages of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ddpm import build
from ddpm.codec import sheet
from ddpm.codec.picture import Pixels
from ddpm.core import Cond, Denoised, Denoiser, Level
from ddpm.core.schedule import place_of
from ddpm.errors import InputError
from ddpm.pipeline import FEWEST, Pipeline
from ddpm.report.canvas import DPI, style
from ddpm.sampling import SampleNoise, start, steps

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIDE, MARGIN, SPACE, TOP = 0.62, 0.1, 0.3, 0.62
"""Inches: an image's width about, the outer margin, between the blocks, and above them."""


@dataclass(frozen=True)
class Stage:
    """Where sampling stands.

    Attributes:
        number: steps taken.
        index: the level's place in the schedule, rounded.
        x: (n, H, W, C) uint8, what the sampler holds.
        x0: (n, H, W, C) uint8, the image that it expects from it.
    """

    number: int
    index: int
    level: Level
    x: Pixels
    x0: Pixels


@dataclass
class _Watched:
    """A denoiser that keeps what it said first at each level."""

    denoise: Denoiser
    said: dict[Level, torch.Tensor] = field(default_factory=dict)

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        denoised = self.denoise(x, level, cond)
        self.said.setdefault(level, denoised.x0)
        return denoised


@torch.no_grad()
def follow(
    pipe: Pipeline, n: int = 8, *, label: Sequence[str] = (), seed: int = 0, stages: int = 8, **settings: Any
) -> list[Stage]:
    """Samples 0 … n - 1 of a seed at some stages, evenly spread over the steps, the first and the last among them.

    The last stage is what :meth:`Pipeline.sample` gives for the same arguments.

    Args:
        label: classes, taken in turn; none for the null label.

    Raises:
        InputError: an unknown label or setting, or a value that is not allowed.
    """
    if n < 1:
        raise InputError(f"n must be at least 1, not {n}")
    how = pipe.settings(settings)
    rows = max(n, FEWEST)
    labels = pipe.labels([label[i % len(label)] for i in range(rows)], rows) if label else None
    watched = _Watched(pipe.denoiser(how, labelled=labels is not None))
    grid = build.build_grid(how, pipe.schedule)
    shape = (pipe.config.network.in_channels, *pipe.config.data.size)
    randn = SampleNoise(seed, range(rows), shape, pipe.device)

    def decode(x: torch.Tensor) -> Pixels:
        pixels: Pixels = build.build_codec(pipe.config).decode(x[:n]).cpu().numpy()
        return pixels

    x = start(grid[0], randn)
    kept = {round(how.steps * k / (stages - 1)) for k in range(stages)}
    held = {0: x}
    for step in steps(watched, build.build_solver(how, pipe.schedule), grid, x, randn, pipe.cond(labels, rows)):
        if step.number in kept:
            held[step.number] = step.x
    return [
        Stage(number, round(place_of(pipe.schedule, level)), level, decode(x), decode(watched.said.get(level, x)))
        for number, x in held.items()
        for level in (grid[number],)
    ]


def draw(stages: Sequence[Stage]) -> "Figure":
    """Two blocks beside each other, x and the expected x0: a row for each sample, a column for each stage."""
    n, height, width, channels = stages[0].x.shape
    gap = max(1, width // 16)
    blocks = {
        # (stages, n, H, W, C) -> rows of one sample each
        title: np.asarray(sheet(np.stack(images, 1).reshape(-1, height, width, channels), len(stages), gap))
        for title, images in (
            ("x, what the sampler holds", [stage.x for stage in stages]),
            ("x0, the image that it expects", [stage.x0 for stage in stages]),
        )
    }
    # each pixel of an image is a whole number of the PNG's
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
                _write(ax, f"t {stage.index}\n{_ratio(stage.level)}", (middle, -0.5), 4, ha="center", fontsize=7)
    return fig


def _write(ax: "Axes", text: str, place: tuple[float, float], above: float, **how: Any) -> None:
    """Text so many points above a place."""
    ax.annotate(text, place, xytext=(0, above), textcoords="offset points", va="bottom", annotation_clip=False, **how)


def _ratio(level: Level) -> str:
    """The signal-to-noise ratio in decibels."""
    if level.clean:
        return "clean"
    snr = float(level.snr)
    return f"{10 * math.log10(snr):+.0f} dB".replace("-", "−") if snr > 0 else "noise"

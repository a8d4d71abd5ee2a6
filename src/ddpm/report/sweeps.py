"""Draw a sweep as two pictures: the same images by each way of sampling, and quality against cost."""

import math
from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from ddpm.images.pixels import Pixels
from ddpm.images.sheets import enlarged, opaque, picture, sheet
from ddpm.records.sweep import Cell, SweepRecord, way
from ddpm.report.canvas import DPI, FAINT, INK, SERIES, Draw, figure, panel, style
from ddpm.report.charts import plain_numbers
from ddpm.system.units import say_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIDE, WIDE = 64, 2400
"""Pixels: the approximate width of an image, and the maximum of all columns together."""
LEFT, BLOCK, MARGIN = 1.3, 0.42, 0.1
"""Inches: room for the names of rows, above each block, and around all."""
GAP, ROW, COLUMN = 2, 10, 18
"""Pixels between images, rows and columns."""
DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<")


def samples(record: SweepRecord, shown: Sequence[Pixels], solutions: Sequence[Pixels]) -> "Figure":
    """Draw a block for each guidance scale, with a row for each solver and grid and a column for each number of steps.

    Below the last column are the images of the many-step solution, which every deterministic solver approaches.
    """
    of = {cell.sampling: pixels for cell, pixels in zip(record.cells, shown, strict=True)}
    counts = sorted({how.steps for how in of})
    ways = list(dict.fromkeys(map(way, of)))
    n, height, width, _ = solutions[0].shape
    factor = max(1, min(round(SIDE / width), WIDE // (len(counts) * n * width)))
    high, wide = height * factor, n * (width * factor + GAP) - GAP
    tall = (len(ways) + 1) * (high + ROW) - ROW
    broad = len(counts) * (wide + COLUMN) - COLUMN
    blocks = record.by_guidance()
    size = (LEFT + broad / DPI + MARGIN, len(blocks) * (BLOCK + tall / DPI) + MARGIN)
    with style():
        from matplotlib.figure import Figure

        fig = Figure(size)
        for number, (scale, solution, many) in enumerate(zip(blocks, solutions, record.solutions, strict=True)):
            page = np.full((tall, broad, 3), 255, np.uint8)
            places = [(len(ways), len(counts) - 1, solution)]
            for cell in blocks[scale]:
                how = cell.sampling
                places.append((ways.index(way(how)), counts.index(how.steps), of[how]))
            for row, column, images in places:
                top, left = row * (high + ROW), column * (wide + COLUMN)
                page[top : top + high, left : left + wide] = strip(images, factor)
            bottom = size[1] - (number + 1) * (BLOCK + tall / DPI)
            ax = fig.add_axes((LEFT / size[0], bottom / size[1], broad / DPI / size[0], tall / DPI / size[1]))
            ax.imshow(page, interpolation="nearest", aspect="auto")
            ax.set_axis_off()
            if len(blocks) > 1 or scale != 1:
                _beside(ax, f"guidance {scale:g}", -0.5, 4, va="bottom", weight="bold")
            for column, count in enumerate(counts):
                middle = column * (wide + COLUMN) + wide / 2
                where: Any = {"xytext": (0, 4), "textcoords": "offset points", "ha": "center", "va": "bottom"}
                ax.annotate(say_count(count, "step"), (middle, -0.5), color=INK, **where)
            for row, (solver, grid) in enumerate(ways):
                name = solver if len({grid for _, grid in ways}) == 1 else f"{solver}\n{grid}"
                _beside(ax, name, row * (high + ROW) + high / 2)
            last = (len(counts) - 1) * (wide + COLUMN)
            name = f"{many.solver.name}\n{many.steps} steps"
            _beside(ax, name, len(ways) * (high + ROW) + high / 2, x=last, color=FAINT)
    return fig


def strip(images: Pixels, factor: int) -> Pixels:
    """Draw images in a row on white, each pixel a square of whole pixels: (factor · H, …, 3)."""
    on_white = np.stack([np.asarray(opaque(picture(image))) for image in enlarged(images, factor)])
    return np.asarray(sheet(on_white, len(on_white), GAP, least=1))


def chart(record: SweepRecord) -> "Figure | None":
    """Plot Fréchet distance, if measured, and distance from the many-step solution against network calls.

    None if there is neither: solvers that draw noise have no such distance.
    """
    panels: list[Draw] = []
    if record.quality is not None:
        panels.append(_quality(record, record.quality.floor))
    if any(cell.distance is not None for cell in record.cells):
        panels.append(_distance(record))
    return figure(*panels) if panels else None


@panel
def _quality(ax: "Axes", record: SweepRecord, floor: float | None) -> None:
    for cells, look in _lines(record):
        x = [cell.evaluations for cell in cells]
        found = [cell.frechet for cell in cells if cell.frechet is not None]
        ax.fill_between(x, [f.low for f in found], [f.high for f in found], color=look["color"], alpha=0.1, linewidth=0)
        ax.plot(x, [f.value for f in found], **look)
    _real_images(ax, floor)
    _finish(ax, record, "Fréchet distance")


@panel
def _distance(ax: "Axes", record: SweepRecord) -> None:
    for cells, look in _lines(record):
        points = [(cell.evaluations, cell.distance) for cell in cells if cell.distance]
        if points:
            ax.plot(*zip(*points, strict=True), **look)
    ax.set_yscale("log")
    plain_numbers(ax, x=False)
    _finish(ax, record, f"distance from the {record.solutions[0].steps}-step solution")


def _real_images(ax: "Axes", floor: float | None) -> None:
    """Mark the Fréchet distance of the same number of real images, on an axis that starts at 0."""
    ax.set_ylim(bottom=0)
    if floor is not None and math.isfinite(floor):
        ax.axhline(floor, color=FAINT, linewidth=1, linestyle=(0, (4, 2)))
        where: Any = {"xycoords": ("axes fraction", "data"), "xytext": (-2, -3), "textcoords": "offset points"}
        ax.annotate("real images", (1, floor), ha="right", va="top", color=FAINT, **where)


def _lines(record: SweepRecord) -> Iterator[tuple[list[Cell], dict[str, Any]]]:
    """Group cells into lines, by cost, with their looks: colour by solver, marker by grid, dashes by guidance."""
    lines: dict[tuple[str, str, float], list[Cell]] = {}
    for cell in record.cells:
        lines.setdefault((*way(cell.sampling), cell.sampling.guidance_scale), []).append(cell)
    colours, markers, dashes = _looks(record)
    for (solver, grid, scale), cells in lines.items():
        look = {"color": colours[solver], "marker": markers[grid], "linestyle": dashes[scale], "linewidth": 1.5}
        yield sorted(cells, key=lambda cell: cell.evaluations), look


def _looks(record: SweepRecord) -> tuple[dict[Any, str], dict[Any, str], dict[Any, Any]]:
    """The colour of each solver, the marker of each grid and the dashes of each guidance."""
    hows = [cell.sampling for cell in record.cells]
    colours = dict(zip(dict.fromkeys(how.solver.name for how in hows), cycle(SERIES), strict=False))
    markers = dict(zip(dict.fromkeys(how.visits for how in hows), cycle(MARKERS), strict=False))
    dashes = dict(zip(dict.fromkeys(how.guidance_scale for how in hows), cycle(DASHES), strict=False))
    return colours, markers, dashes


def _finish(ax: "Axes", record: SweepRecord, measured: str) -> None:
    """Set the axis of network calls, and a legend for everything that varies."""
    from matplotlib.lines import Line2D

    calls = sorted({cell.evaluations for cell in record.cells})
    ax.set(xscale="log", xlabel="network evaluations per image", ylabel=measured)
    shown = [n for i, n in enumerate(calls) if i == 0 or math.log(n / calls[i - 1]) > 0.15]
    ax.set_xticks(shown, [str(n) for n in shown])
    ax.set_xticks([], minor=True)
    colours, markers, dashes = _looks(record)
    entries = [Line2D([], [], color=colour, marker="o", label=name) for name, colour in colours.items()]
    if len(markers) > 1:
        entries += [Line2D([], [], color=FAINT, marker=one, linestyle="", label=name) for name, one in markers.items()]
    if len(dashes) > 1:
        entries += [Line2D([], [], color=FAINT, linestyle=one, label=f"guidance {x:g}") for x, one in dashes.items()]
    ax.legend(handles=entries, loc="lower left", bbox_to_anchor=(-0.02, 1), ncols=3, alignment="left")


def _beside(ax: "Axes", text: str, y: float, lift: float = 0, x: float = 0, va: str = "center", **how: Any) -> None:
    """Write text to the left of a position on the sheet, raised by ``lift`` points."""
    how |= {"xytext": (-7, lift), "textcoords": "offset points", "annotation_clip": False}
    ax.annotate(text, (x - 0.5, y), ha="right", va=va, linespacing=1.25, **how)

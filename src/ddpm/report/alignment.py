"""How well a run follows captions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image

from ddpm.images.prompted import rows_of
from ddpm.metrics.estimate import Estimate
from ddpm.records.alignment import AlignmentRecord, LevelLoss
from ddpm.report.canvas import BLUE, FAINT, ORANGE, Draw, panel
from ddpm.report.numbers import measured
from ddpm.report.reading import Run, readable
from ddpm.report.tables import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CAPTION = "Rise of the loss without the right caption"


def panels(record: AlignmentRecord) -> dict[str, Draw]:
    """Plot the losses without and with wrong captions against the noise level: caption -> panel."""
    return {CAPTION: by_level(record.levels)}


@panel
def by_level(ax: "Axes", levels: Sequence[LevelLoss]) -> None:
    """Plot how much higher the loss is than with the right captions, in percent, at each group of levels."""
    middles = [(level.first + level.last) / 2 for level in levels]
    for name, label, colour in (("shuffled", "captions of others", ORANGE), ("null", "no captions", BLUE)):
        found: list[Estimate] = [rise for level in levels if (rise := getattr(level, name)) is not None]
        if not found:
            continue
        ends = [[100 * (one.value - one.low) for one in found], [100 * (one.high - one.value) for one in found]]
        look: Any = {"marker": "o", "capsize": 2.5, "elinewidth": 1.1, "color": colour, "label": label}
        ax.errorbar(middles, [100 * one.value for one in found], ends, **look)
    ax.axhline(0, color=FAINT, linewidth=0.8, linestyle=(0, (2, 2)))
    ax.set(xlabel="timestep t", ylabel="rise of the loss in %")
    ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1), ncols=2, alignment="left")


def table(record: AlignmentRecord) -> Table:
    """List the losses by group of levels."""
    head = ("timesteps", "loss", "without captions", "95 % interval", "with captions of others", "95 % interval")
    rows = [
        (f"{level.first:,} to {level.last:,}", measured(level.right), *_rise(level.null), *_rise(level.shuffled))
        for level in record.levels
    ]
    return head, rows


def _rise(found: Estimate | None) -> tuple[str, str]:
    if found is None:
        return "", ""
    value, low, high = (f"{100 * x:+.2f}\u00a0%".replace("-", "−") for x in (found.value, found.low, found.high))
    return value, f"{low} to {high}"


def sheet(run: Run) -> list[tuple[str, Image.Image]]:
    """The samples of each prompt, one row each; empty without a readable picture of them."""
    record, path = run.alignment, run.files.alignment_sheet
    if record is None or not record.prompts or not readable(path):
        return []
    with Image.open(path) as page:
        return list(zip(record.prompts, rows_of(page, len(record.prompts)), strict=True))

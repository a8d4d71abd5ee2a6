"""Plot bits per dimension by noise level."""

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from ddpm.records.likelihood import BitsRecord, Levels
from ddpm.report.canvas import BLUE, FAINT, ORANGE, Draw, figure, panel, to_bytes
from ddpm.system.files import write_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def headline(found: Sequence[BitsRecord], weights: str | None) -> BitsRecord | None:
    """Choose the bound to plot: preferably of the run's own weights, then with most levels, then the newest.

    Args:
        found: oldest first.
    """
    bounds = [record for record in reversed(found) if record.levels is not None]
    return max(bounds, key=lambda r: (r.weights == weights, r.how.steps, r.how.calls), default=None)


def panels(record: BitsRecord) -> dict[str, Draw]:
    """Plot a bound by level: caption -> panel; empty for the ODE, which has no levels."""
    if record.levels is None:
        return {}
    cumulative = cumulated(record.levels, record.mean)
    return {"Bits per dimension by level": by_level(record.levels), "Cumulative share of the bits": cumulative}


@panel
def by_level(ax: "Axes", levels: Levels) -> None:
    """Plot the bits of each pair of neighbouring levels against the noisier one, both logarithmic."""
    each = [bits / pairs for bits, pairs in zip(levels.bits, levels.pairs, strict=True)]
    ax.plot(levels.timestep[:-1], each[:-1], color=BLUE, marker="o" if len(each) < 60 else None, label="KL")
    ax.plot(levels.timestep[-1:], each[-1:], color=ORANGE, marker="o", linestyle="", label="decoder")
    ax.set(xscale="log", yscale="log", xlabel="timestep t", ylabel="bits per dimension")
    ax.legend(loc="upper right")


@panel
def cumulated(ax: "Axes", levels: Levels, mean: float) -> None:
    """Plot the cumulative share of the bits by level, starting with the decoder's; the rest are the prior's."""
    share = [bits / mean for bits in accumulate(reversed(levels.bits))]
    ax.plot(levels.timestep[::-1], share, color=BLUE, marker="o" if len(share) < 60 else None)
    ax.axhline(1, color=FAINT, linewidth=0.8, linestyle=(0, (2, 2)))
    ax.set(xscale="log", xlabel="timestep t", ylabel="share of all bits", ylim=(0, 1.05))


def plot(record: BitsRecord, folder: Path) -> None:
    """Write ``bits.png`` next to a bound's record."""
    if drawn := panels(record):
        write_file(folder / "bits.png", to_bytes(figure(*drawn.values()), "png"))

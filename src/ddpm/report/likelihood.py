"""Bits per dimension: what a run folder has of them, and where in the noise they lie."""

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from ddpm.records.likelihood import FILE, BitsRecord
from ddpm.report.canvas import BLUE, FAINT, ORANGE, Draw, figure, to_bytes
from ddpm.system.errors import InputError
from ddpm.system.files import write_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def measured_bits(folder: Path) -> tuple[BitsRecord, ...]:
    """All below a run's "likelihood", the oldest first; without those that another version wrote."""
    found = []
    for path in folder.glob(f"*/{FILE}"):
        try:
            found.append((path.stat().st_mtime_ns, path.parent.name, BitsRecord.read(path)))
        except InputError:
            continue
    return tuple(record for *_, record in sorted(found, key=lambda one: one[:2]))


def headline(found: Sequence[BitsRecord], weights: str | None) -> BitsRecord | None:
    """The bound that shows where the bits lie best: of the run's own weights, with most levels, the newest of those.

    Args:
        found: the oldest first.
    """
    bounds = [record for record in reversed(found) if record.levels is not None]
    return max(bounds, key=lambda r: (r.weights == weights, r.how.steps, r.how.calls), default=None)


def panels(record: BitsRecord) -> dict[str, Draw]:
    """Where a bound's bits lie: caption -> panel; none of the ODE's."""
    if record.levels is None:
        return {}
    return {"Bits of each level": by_level(record), "Share of the bits up to a level": cumulated(record)}


def by_level(record: BitsRecord) -> Draw:
    """What one pair of neighbouring levels adds against its noisier level, both logarithmic."""
    levels = record.levels
    assert levels is not None
    each = [bits / pairs for bits, pairs in zip(levels.bits, levels.pairs, strict=True)]

    def draw(ax: "Axes") -> None:
        ax.plot(levels.timestep[:-1], each[:-1], color=BLUE, marker="o" if len(each) < 60 else None, label="KL")
        ax.plot(levels.timestep[-1:], each[-1:], color=ORANGE, marker="o", linestyle="", label="decoder")
        ax.set(xscale="log", yscale="log", xlabel="level t", ylabel="bits per dimension")
        ax.legend(loc="upper right")

    return draw


def cumulated(record: BitsRecord) -> Draw:
    """The share of all bits that lie in the levels up to one, from the decoder's to all of them and the prior's."""
    levels = record.levels
    assert levels is not None
    share = [bits / record.mean for bits in accumulate(reversed(levels.bits))]
    timesteps = levels.timestep[::-1]

    def draw(ax: "Axes") -> None:
        ax.plot(timesteps, share, color=BLUE, marker="o" if len(share) < 60 else None)
        ax.axhline(1, color=FAINT, linewidth=0.8, linestyle=(0, (2, 2)))
        ax.set(xscale="log", xlabel="level t", ylabel="share of all bits", ylim=(0, 1.05))

    return draw


def plot(record: BitsRecord, folder: Path) -> None:
    """Write ``bits.png`` beside a bound's record."""
    drawn = panels(record)
    if drawn:
        write_file(folder / "bits.png", to_bytes(figure(*drawn.values()), "png"))

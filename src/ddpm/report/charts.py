"""The panels: each function takes numbers and returns a function that draws them on axes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from textwrap import fill
from typing import TYPE_CHECKING, Any

import torch

from ddpm.core import Level, Schedule
from ddpm.core.schedule import timestep_of
from ddpm.engine.trajectory import spread
from ddpm.metrics.estimate import Estimate
from ddpm.report.canvas import BLUE, FAINT, INK, ORANGE, SERIES, Draw, panel
from ddpm.report.numbers import amount
from ddpm.report.reading import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REAL, BEST = "real images", "best"
MARKS = (BEST, "chosen", "least allowed", REAL)
"""The marks that are not lines of the legend."""
WIDEST = 62
"""Characters of a legend that fit on a panel."""
APART = 1.3
"""The least ratio of neighbouring numbers on a logarithmic axis."""
Line = tuple[Sequence[float], Sequence[float]]
"""The x and y of its points."""


def schedule(schedules: Mapping[str, Schedule], grid: Sequence[Level] = ()) -> dict[str, Draw]:
    """Plot noise schedules by name: caption -> panel; of a single one with the levels of a grid."""
    return {
        "Signal and noise at each level": signal_and_noise(schedules, grid),
        "Signal-to-noise ratio at each level": log_snr(schedules, grid),
    }


@panel
def signal_and_noise(ax: "Axes", schedules: Mapping[str, Schedule], grid: Sequence[Level] = ()) -> None:
    """Plot alpha (solid) and sigma (dashed) of ``x_t = alpha · x0 + sigma · eps``, with the grid's levels as ticks."""
    alone = len(schedules) == 1
    for (name, schedule), colour in zip(schedules.items(), SERIES * len(schedules), strict=False):
        i = torch.arange(schedule.T + 1)
        level = schedule.levels(i)
        ax.plot(i, level.alpha, color=colour, label="alpha (signal)" if alone else name)
        ax.plot(i, level.sigma, color=colour, linestyle=(0, (3, 1.5)), label="sigma (noise)" if alone else None)
    _rug(ax, schedules, grid)
    ax.set(xlabel="timestep t", ylabel="scale" if alone else "alpha (solid), sigma (dashed)")
    _legend(ax, columns=3)


@panel
def log_snr(ax: "Axes", schedules: Mapping[str, Schedule], grid: Sequence[Level] = ()) -> None:
    """Plot ``log(alpha² / sigma²)`` at each noisy level with signal, with the grid's levels as ticks."""
    for (name, schedule), colour in zip(schedules.items(), SERIES * len(schedules), strict=False):
        i = torch.arange(1, schedule.T + 1)
        snr: Any = schedule.levels(i).snr
        ax.plot(i[snr > 0], snr[snr > 0].log(), color=colour, label=name)
    _rug(ax, schedules, grid)
    ax.axhline(0, color=FAINT, linewidth=0.8, linestyle=(0, (2, 2)))
    ax.set(xlabel="timestep t", ylabel="log SNR")
    _legend(ax, columns=3)


@panel
def loss(ax: "Axes", train: Line, held_out: Line) -> None:
    """Plot the loss against images seen, both logarithmic; values from before the first step are left out."""
    lines = (train, BLUE, "training", None), (held_out, ORANGE, "held-out", "o")
    for line, colour, label, marker in lines:
        points = [(x, y) for x, y in zip(*line, strict=True) if x > 0 and y > 0]
        if points:
            ax.plot(*zip(*points, strict=True), color=colour, label=label, marker=marker)
    ax.set(xscale="log", yscale="log", xlabel="images seen", ylabel="loss")
    plain_numbers(ax)
    _legend(ax, columns=2)


@panel
def loss_by_level(ax: "Axes", stages: Sequence[tuple[int, Mapping[int, float]]], most: int = 5) -> None:
    """Plot held-out loss against the noise level, with a line for each stage of training, later ones darker.

    Args:
        stages: images seen, and the loss at each level.
        most: the maximum number of lines, spread over the stages, including the first and the last.
    """
    chosen = spread(len(stages) - 1, most)
    for rank, (images, by_level) in enumerate((stages[k] for k in chosen), 1):
        shade: Any = {"color": BLUE, "alpha": 1 - 0.8 * (1 - rank / len(chosen)), "label": amount(images)}
        ax.plot(list(by_level), list(by_level.values()), "o-", markersize=3, markeredgewidth=0, **shade)
    ax.set(yscale="log", xlabel="timestep t", ylabel="held-out loss")
    plain_numbers(ax, x=False)
    _legend(ax, columns=len(chosen), title="images seen")


def losses(run: Run) -> dict[str, Draw]:
    """Plot the losses in a run's log: caption -> panel; empty before its first line of training."""
    made: dict[str, Draw] = {}
    train, held_out = run.curve("train", "loss"), run.curve("held-out", "loss")
    if any(images > 0 for images in (*train[0], *held_out[0])):
        made["Loss against images seen"] = loss(train, held_out)
    scored = [(e.images, e.values["by_level"]) for e in run.of("held-out") if e.values.get("by_level")]
    # JSON keys are strings
    stages = [(images, {int(level): value for level, value in levels.items()}) for images, levels in scored]
    if stages:
        made["Held-out loss by noise level"] = loss_by_level(stages)
    return made


@dataclass(frozen=True)
class Series:
    """A line of Fréchet distances.

    Attributes:
        points: x and the distance, ascending.
        colour: its index in ``SERIES``, which repeats after the last; None for grey, behind the others and without
            intervals.
        look: matplotlib's properties of the line.
        best: the index of the point to ring, if any.
    """

    label: str
    points: Sequence[tuple[float, Estimate]]
    colour: int | None = 0
    look: Mapping[str, Any] = field(default_factory=dict)
    best: int | None = None


@dataclass(frozen=True)
class Floor:
    """The Fréchet distance of n real images."""

    n: int
    frechet: float | None


@panel
def by_calls(ax: "Axes", curves: Sequence[Series], floor: Floor) -> None:
    """Plot the Fréchet distance against network calls, both logarithmic."""
    _curves(ax, curves)
    ax.set(xscale="log", yscale="log", xlabel="network calls per image", ylabel="Fréchet distance")
    _floor(ax, floor)
    ends = [end for curve in curves for _, y in curve.points for end in (y.low, y.high)]
    low, high = min(end for end in [*ends, floor.frechet or math.inf] if end > 0), max(ends)
    ax.set_ylim(low / 1.25, high * 1.25)
    shown: list[float] = []
    for calls in sorted({x for curve in curves for x, _ in curve.points}):
        if not shown or calls / shown[-1] > APART:
            shown.append(calls)
    ax.set_xticks(shown, [f"{calls:,}" for calls in shown])
    ax.set_xticks([], minor=True)
    plain_numbers(ax, x=False)
    _legend(ax, columns=columns_of(curves))


@panel
def by_minutes(ax: "Axes", curves: Sequence[Series], floor: Floor | None) -> None:
    """Plot the Fréchet distance against minutes of training, with the best points ringed."""
    _curves(ax, curves)
    best = [(x, y.value) for curve in curves if curve.best is not None for x, y in [curve.points[curve.best]]]
    if best:
        ring: Any = {"marker": "o", "markersize": 10, "fillstyle": "none", "color": INK, "linestyle": ""}
        ax.plot(*zip(*best, strict=True), **ring, label=BEST)
    _floor(ax, floor)
    ax.set(xlabel="minutes of training", ylabel="Fréchet distance")
    ax.set_xlim(0, 1.05 * max(x for curve in curves for x, _ in curve.points))
    ax.set_ylim(bottom=0)
    _legend(ax, columns=columns_of(curves))


def columns_of(curves: Sequence[Series]) -> int:
    """The columns of a legend: two if all labels are short."""
    return 2 if all(len(curve.label) <= WIDEST // 2 for curve in curves) else 1


@panel
def by_guidance(
    ax: "Axes",
    kinds: Mapping[str, Sequence[tuple[float, Estimate]]],
    chosen: tuple[float, float],
    least_recall: float | None,
) -> None:
    """Plot the Fréchet distance, or the recall if the least allowed is given, against the guidance scale."""
    for (name, points), colour in zip(kinds.items(), SERIES * len(kinds), strict=False):
        _intervals(ax, points, colour, name)
    ax.plot(*chosen, marker="o", markersize=10, fillstyle="none", color=INK, linestyle="", label="chosen")
    if least_recall is not None:
        ax.axhline(least_recall, color=FAINT, linewidth=1, linestyle=(0, (4, 2)), label="least allowed")
    ax.set(xscale="log", xlabel="guidance scale", ylabel="Fréchet distance" if least_recall is None else "recall")
    scales, named = sorted({scale for points in kinds.values() for scale, _ in points}), list[float]()
    for scale in scales:
        if not named or math.log(scale / named[-1]) > 0.06 * math.log(scales[-1] / scales[0]):  # room for its label
            named.append(scale)
    ax.set_xticks(named, [f"{scale:g}" for scale in named])
    ax.set_xticks([], minor=True)
    _legend(ax, columns=2)


@panel
def by_length(ax: "Axes", points: Sequence[tuple[float, Estimate]], own: float, chosen: float | None) -> None:
    """Plot the Fréchet distance against the length of the average of the weights.

    Args:
        points: lengths and distances, with the intervals of their difference from the run's own weights.
        own: the distance of the run's own weights.
        chosen: the length that is used instead, if any.
    """
    _intervals(ax, points, BLUE, "paired 95 % interval")
    ax.axhline(own, color=FAINT, linewidth=1, linestyle=(0, (4, 2)), label="the run's own weights")
    found = {length: distance.value for length, distance in points}
    if chosen is not None:
        ax.plot(chosen, found[chosen], marker="o", markersize=10, fillstyle="none", color=INK, label="chosen", ls="")
    ax.set(xlabel="length of the average, as a fraction of training", ylabel="Fréchet distance")
    ax.set_xticks(list(found), [f"{length:g}" for length in found])
    _legend(ax, columns=2)


def _rug(ax: "Axes", schedules: Mapping[str, Schedule], grid: Sequence[Level]) -> None:
    """Mark the timesteps of a grid on the axis of the only schedule."""
    if grid:
        (schedule,) = schedules.values()
        timesteps = [timestep_of(schedule, level) for level in grid]
        look: Any = {"color": INK, "markersize": 7, "markeredgewidth": 0.9, "label": f"{len(grid) - 1} steps"}
        ax.plot(timesteps, [0.02] * len(timesteps), "|", transform=ax.get_xaxis_transform(), **look)


def _curves(ax: "Axes", curves: Sequence[Series]) -> None:
    """Draw lines, with their intervals unless they are grey; grey ones have markers of their own."""
    markers = cycle(("s", "^", "v", "P"))
    for curve in curves:
        if curve.colour is not None:
            colour = SERIES[curve.colour % len(SERIES)]
            _intervals(ax, curve.points, colour, curve.label, **curve.look)
        else:
            points = [(x, y.value) for x, y in curve.points]
            look: Any = {"color": FAINT, "marker": next(markers), "linewidth": 1, "zorder": 1.5, **curve.look}
            ax.plot(*zip(*points, strict=True), **look, label=curve.label)


def _intervals(ax: "Axes", points: Sequence[tuple[float, Estimate]], colour: str, label: str, **look: Any) -> None:
    x, found = zip(*points, strict=True)
    ends = [[max(0, one.value - one.low) for one in found], [max(0, one.high - one.value) for one in found]]
    values = [one.value for one in found]
    style: Any = {"marker": "o", "capsize": 2.5, "elinewidth": 1.1} | look
    ax.errorbar(x, values, ends if any(map(any, ends)) else None, color=colour, label=label, **style)


def _floor(ax: "Axes", floor: Floor | None) -> None:
    """Mark the Fréchet distance of the same number of real images."""
    if floor is not None and floor.frechet is not None and math.isfinite(floor.frechet):
        look: Any = {"color": FAINT, "linewidth": 1, "linestyle": (0, (4, 2))}
        ax.axhline(floor.frechet, **look, label=f"{floor.n:,} {REAL}")


def _legend(ax: "Axes", columns: int = 1, title: str | None = None) -> None:
    """Put the legend above the panel, where it covers nothing: lines with intervals, others, then what marks them."""
    from matplotlib.container import ErrorbarContainer

    def rank(entry: tuple[Any, str]) -> tuple[bool, bool]:
        return entry[1].endswith(MARKS), not isinstance(entry[0], ErrorbarContainer)

    entries = sorted(zip(*ax.get_legend_handles_labels(), strict=True), key=rank)
    # without the bars of intervals
    handles = [handle.lines[0] if isinstance(handle, ErrorbarContainer) else handle for handle, _ in entries]
    labels = [fill(label, WIDEST) for _, label in entries]
    place: Any = {"loc": "lower left", "bbox_to_anchor": (-0.02, 1), "alignment": "left"}
    ax.legend(handles, labels, ncols=columns, title=title, **place)


def plain_numbers(ax: "Axes", x: bool = True) -> None:
    """Label logarithmic axes with plain numbers."""
    for axis in (ax.xaxis, ax.yaxis) if x else (ax.yaxis,):
        ticks = _ticks(*axis.get_view_interval())
        axis.set_ticks(ticks, [amount(tick) for tick in ticks])
        axis.set_ticks([], minor=True)


def _ticks(low: float, high: float, most: int = 7) -> list[float]:
    """Choose the densest round numbers between two ends, at most ``most`` of them."""
    choices = [
        [m * 10.0**p for p in range(-30, 30, every) for m in digits if low <= m * 10.0**p <= high]
        for every, digits in ((3, (1,)), (1, (1,)), (1, (1, 2, 5)), (1, (1, 1.5, 2, 3, 4, 5, 7)))
    ]
    return max((ticks for ticks in choices if len(ticks) <= most), key=len, default=choices[0])

"""The panels: each function takes numbers and returns a function that draws them on axes."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from ddpm.core import Level, Schedule
from ddpm.core.schedule import timestep_of
from ddpm.engine.trajectory import spread
from ddpm.metrics.estimate import Estimate
from ddpm.report.canvas import BLUE, FAINT, GREEN, INK, ORANGE, SERIES, Draw, panel
from ddpm.report.numbers import amount
from ddpm.report.reading import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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
        most: the most lines, spread over the stages, including the first and the last.
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


@panel
def by_steps(ax: "Axes", ways: Mapping[str, Sequence[tuple[int, Estimate]]], floor: float | None) -> None:
    """Plot the Fréchet distance and its interval against sampling steps, with a line for each way of sampling."""
    for (name, points), colour in zip(ways.items(), SERIES * len(ways), strict=False):
        _intervals(ax, points, colour, name)
    real_images(ax, floor)
    steps = sorted({n for points in ways.values() for n, _ in points})
    ax.set(xscale="log", xlabel="sampling steps", ylabel="Fréchet distance")
    ax.set_xticks(steps, [str(n) for n in steps])
    ax.set_xticks([], minor=True)
    _legend(ax)


@panel
def by_training(
    ax: "Axes",
    evaluated: Sequence[tuple[int, Estimate]],
    while_training: Mapping[str, Line],
    best: tuple[int, float] | None,
    floor: float | None,
    speed: float | None,
    how: str = "evaluated",
) -> None:
    """Plot the Fréchet distance against images seen and time.

    Args:
        evaluated: images seen and scores by `ddpm evaluate`; ``how`` labels their line.
        while_training: name -> scores taken during training.
        best: the point of the best checkpoint.
        floor: the Fréchet distance of as many real images.
        speed: images per second, or None.
    """
    if evaluated:
        _intervals(ax, evaluated, BLUE, how)
    for (name, curve), colour in zip(while_training.items(), (GREEN, ORANGE, *SERIES), strict=False):
        ax.plot(*curve, color=colour, marker="o", label=name)
    real_images(ax, floor)
    if best:
        ax.plot(*best, marker="o", markersize=10, fillstyle="none", color=INK, linestyle="", label="best")
    ax.set(xlabel="images seen", ylabel="Fréchet distance")
    ax.set_xlim(left=0)
    _images_and_time(ax, speed)
    _legend(ax, columns=3)


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
        chosen: the length that is used instead; None for none.
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


def _intervals(ax: "Axes", points: Sequence[tuple[float, Estimate]], colour: str, label: str) -> None:
    x, found = zip(*points, strict=True)
    ends = [[max(0, one.value - one.low) for one in found], [max(0, one.high - one.value) for one in found]]
    values = [one.value for one in found]
    ax.errorbar(x, values, ends, color=colour, marker="o", capsize=2.5, elinewidth=1.1, label=label)


def real_images(ax: "Axes", floor: float | None) -> None:
    """Mark the Fréchet distance of as many real images, on an axis that starts at 0."""
    ax.set_ylim(bottom=0)
    if floor is not None and math.isfinite(floor):
        ax.axhline(floor, color=FAINT, linewidth=1, linestyle=(0, (4, 2)))
        where: Any = {"xycoords": ("axes fraction", "data"), "xytext": (-2, -3), "textcoords": "offset points"}
        ax.annotate("real images", (1, floor), ha="right", va="top", color=FAINT, **where)


def _legend(ax: "Axes", columns: int = 1, title: str | None = None) -> None:
    """Put the legend above the panel, where it covers nothing."""
    ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1), ncols=columns, title=title, alignment="left")


def _images_and_time(ax: "Axes", speed: float | None) -> None:
    unit, name = (3600, "h") if speed and ax.get_xlim()[1] / speed > 7200 else (60, "min")

    def written(images: float, _: object) -> str:
        return amount(images) + (f"\n{images / speed / unit:.2g} {name}" if speed else "")

    ax.xaxis.set_major_formatter(written)
    ax.locator_params(axis="x", nbins=6)


def plain_numbers(ax: "Axes", x: bool = True) -> None:
    """Label logarithmic axes with plain numbers."""
    for axis in (ax.xaxis, ax.yaxis) if x else (ax.yaxis,):
        ticks = _ticks(*axis.get_view_interval())
        axis.set_ticks(ticks, [amount(tick) for tick in ticks])
        axis.set_ticks([], minor=True)


def _ticks(low: float, high: float, most: int = 7) -> list[float]:
    """Choose the densest round numbers between two ends, ``most`` at most."""
    choices = [
        [m * 10.0**p for p in range(-30, 30, every) for m in digits if low <= m * 10.0**p <= high]
        for every, digits in ((3, (1,)), (1, (1,)), (1, (1, 2, 5)), (1, (1, 1.5, 2, 3, 4, 5, 7)))
    ]
    return max((ticks for ticks in choices if len(ticks) <= most), key=len, default=choices[0])

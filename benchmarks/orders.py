"""Fit and plot the orders of the solvers: error against network calls on a problem with an exact solution.

    python benchmarks/orders.py [--out docs/images/orders.png]

Each value of an image is drawn from a mixture of two Gaussians, so the expected image given a noisy one is a formula,
and the end of each path is known from much finer Runge-Kutta steps. The solvers step evenly in log-SNR from -14 to 2.
iPNDM steps evenly in sigma / alpha from 20 to 0.5, as it was designed to, with Gaussian data. The slope is fitted to
200, 400 and 800 steps, that of iPNDM to 400, 800 and 1600, that of the adaptive solver to its last three tolerances.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import linear_regression
from typing import TYPE_CHECKING

import torch

from ddpm.core import Cond, Denoised, Denoiser, Level
from ddpm.report.canvas import FAINT, INK, SERIES, Draw, figure
from ddpm.report.plots import save
from ddpm.sampling import Solver, start, steps
from ddpm.sampling.adaptive import Adaptive
from ddpm.sampling.ipndm import IPNDM

sys.path.append(str(Path(__file__).parents[1]))
from tests.laws.convergence import (
    END,
    GAUSSIAN,
    MIXTURE,
    MULTISTEP,
    NOISE,
    SINGLE_STEP,
    at,
    even,
    even_ratio,
    flow_of,
    normal,
)
from tests.laws.every import between

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COUNTS, LONG = (10, 16, 25, 40, 63, 100, 200, 400, 800), (25, 50, 100, 200, 400, 800, 1600)
TOLERANCES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
PANELS = {
    "calls within the step": ("ddim", "heun", "dpm-solver-2", "dpm++-2s", "dpm-solver-3", "adaptive"),
    "polynomials of x0": ("dpm++-2m", "dpm++-3m", "dpm++-3m-exact", "unipc-1", "unipc-2", "unipc-3"),
    "polynomials of eps": ("deis-2", "deis-3", "ipndm-2", "ipndm-3", "ipndm-4"),
}
"""The solvers in the plot; the table has all."""


@dataclass(frozen=True)
class Line:
    """A solver's errors.

    Attributes:
        claim: its order.
        points: network calls, and the root mean square distance from the exact end.
    """

    claim: int
    points: list[tuple[int, float]]

    @property
    def slope(self) -> float:
        """The slope of log error over log calls at the last three points."""
        tail = [(math.log(calls), math.log(error)) for calls, error in self.points[-3:]]
        return -linear_regression(*zip(*tail, strict=True)).slope


def error(denoise: Denoiser, solver: Solver, grid: Sequence[Level], end: torch.Tensor) -> tuple[int, float]:
    """Count network calls on a grid, and measure the distance from the exact end."""
    asked = 0

    def counted(x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        nonlocal asked
        asked += 1
        return denoise(x, level, cond)

    *_, last = steps(counted, solver, grid, start(grid[0], normal), normal)
    return asked, float((last.x - end).square().mean().sqrt())


def measure() -> dict[str, Line]:
    """Measure all solvers: name -> errors."""
    solvers = SINGLE_STEP | {name: one for name, one in MULTISTEP.items() if not name.startswith("ipndm")}
    end = flow_of(MIXTURE, start(at(NOISE), normal), 2000, NOISE, END)
    found = {
        name: Line(order, [error(MIXTURE, solver, even(n), end) for n in COUNTS])
        for name, (solver, order) in solvers.items()
    }
    first, *_, last = even_ratio(2)
    end_of_gaussian = GAUSSIAN.flow(start(first, normal), first, last)
    for order in (1, 2, 3, 4):
        errors = [error(GAUSSIAN, IPNDM(order), even_ratio(n), end_of_gaussian) for n in LONG]
        found[f"ipndm-{order}"] = Line(order, errors)
    whole, adaptive = [at(NOISE), at(END)], partial(Adaptive, between, limit=10_000)
    found["adaptive"] = Line(3, [error(MIXTURE, adaptive(tolerance), whole, end) for tolerance in TOLERANCES])
    return found


def panel(title: str, lines: dict[str, Line]) -> Draw:
    """Plot errors of a few solvers, with a line for each order that they claim."""

    def draw(ax: "Axes") -> None:
        for (name, line), colour in zip(lines.items(), (*SERIES, INK), strict=False):
            ax.plot(*zip(*line.points, strict=True), color=colour, marker="o", markersize=3, label=name)
        for order in sorted({line.claim for line in lines.values()}):
            lowest = min((line for line in lines.values() if line.claim == order), key=lambda line: line.points[-1][1])
            (calls, left), far = lowest.points[-3], lowest.points[-1][0]
            ends = [0.3 * left, 0.3 * left * (far / calls) ** -order]
            ax.plot([calls, far], ends, color=FAINT, linewidth=1, linestyle=(0, (3, 2)))
            ax.annotate(str(order), (far, ends[1]), xytext=(4, 0), textcoords="offset points", va="center", color=FAINT)
        ax.set(xscale="log", yscale="log", xlabel="network calls", ylabel="error")
        low, high = ax.get_xlim()
        ticks = [n for n in (10, 30, 100, 300, 1000) if low <= n <= high]
        ax.set_xticks(ticks, [str(n) for n in ticks])
        ax.set_xticks([], minor=True)
        ax.set_yticks([], minor=True)
        ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1), ncols=3, title=title, alignment="left")

    return draw


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/images/orders.png"), help=".png, .svg or .pdf")
    given = parser.parse_args()
    found = measure()
    print("| solver | order | fitted |\n|---|---:|---:|")
    for name, line in found.items():
        missed = " **missed**" if abs(line.slope - line.claim) > 0.25 else ""
        print(f"| {name} | {line.claim} | {line.slope:.2f}{missed} |")
    drawn = [panel(title, {name: found[name] for name in names}) for title, names in PANELS.items()]
    print(save(figure(*drawn), given.out))


if __name__ == "__main__":
    main()

"""Exact errors of MMPS, DDNM, replacement and RePaint against the conditional distribution they approximate.

    python benchmarks/conditional.py [--out docs/images/conditional.png]

The data are Gaussian: 16 values in a row with standard deviation 0.5, correlated by exp(-distance / 4). The first eight
are known, at one standard deviation, and the distribution of the others given them is a formula. The denoiser is
perfect, so every step is an affine map, and mean and covariance of the samples follow without drawing any. The error
of the mean is its distance from the exact one over the norm of that; the error of the covariance is the same in the
Frobenius norm.

MMPS is affine once its conjugate gradients have converged, in eight iterations here. With fewer iterations it is
measured on 50,000 samples.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import torch

from ddpm.constraints import DDNM, MMPS, Mask, Replacement
from ddpm.core import Cond, Denoised, Denoiser, Level
from ddpm.core.discrete import linear
from ddpm.sampling import DDIM, Ancestral, Constraint, Solver, evaluations, sample, steps
from ddpm.sampling.grid import repaint, uniform
from ddpm.sampling.heun import Heun
from ddpm.sampling.loop import renoised

SIZE, KNOWN, STD, LENGTH = 16, 8, 0.5, 4.0
STEPS = (10, 25, 50, 100, 250, 1000)
TIMES = (1, 2, 5, 10, 20)
ITERATIONS = (1, 2, 3, 4, 8)
SAMPLES = 50_000
JUMPS = {50: (1, 5, 10), 250: (10,)}
Point = tuple[int, float, float]
"""(network calls, a gradient as two, error of the mean, error of the covariance)."""


@dataclass(frozen=True)
class Row:
    """Gaussian data of mean 0 as images (B, SIZE, 1), and their perfect denoiser."""

    @cached_property
    def cov(self) -> torch.Tensor:
        timestep = torch.arange(SIZE, dtype=torch.float64)
        return STD**2 * (-(timestep[:, None] - timestep).abs() / LENGTH).exp()

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        """``alpha C (alpha² C + sigma² I)⁻¹ x_t``."""
        noisy = level.alpha**2 * self.cov + level.sigma**2 * torch.eye(SIZE, dtype=torch.float64)
        return Denoised((x[..., 0] @ torch.linalg.solve(noisy, level.alpha * self.cov))[..., None])

    def errors(self, y: torch.Tensor, mean: torch.Tensor, cov: torch.Tensor) -> tuple[float, float]:
        """The mean of the unknown part, given y (KNOWN,)."""
        k, u = slice(KNOWN), slice(KNOWN, SIZE)
        gain = torch.linalg.solve(self.cov[k, k], self.cov[k, u]).mT
        true_mean, true_cov = gain @ y, self.cov[u, u] - gain @ self.cov[k, u]
        return float((mean[u] - true_mean).norm() / true_mean.norm()), float(
            (cov[u, u] - true_cov).norm() / true_cov.norm()
        )


def moments(
    denoise: Denoiser, solver: Solver, grid: Sequence[Level], constraint: Constraint | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and covariance of the samples of a solver without a memory, step by step.

    A batch of the origin, the axes, and every number drawn in the step as 1 shows its map. The constraint acts at both
    ends of a pair of levels: one more draw of the same distribution where a step ended.
    """
    mean, cov = torch.zeros(SIZE, dtype=torch.float64), grid[0].sigma ** 2 * torch.eye(SIZE, dtype=torch.float64)
    axes, most = torch.eye(SIZE, dtype=torch.float64), 4
    for pair in pairwise(grid):
        x = torch.zeros((1 + (1 + most) * SIZE, SIZE, 1), dtype=torch.float64)
        x[1 : 1 + SIZE, :, 0] = axes
        x = _through(denoise, solver, pair, x, constraint, axes)
        shift, rest = x[0], x[1:] - x[0]
        mean, cov = mean @ rest[:SIZE] + shift, rest[:SIZE].mT @ cov @ rest[:SIZE] + rest[SIZE:].mT @ rest[SIZE:]
    return mean, cov


def _through(
    denoise: Denoiser,
    solver: Solver,
    pair: Sequence[Level],
    x: torch.Tensor,
    constraint: Constraint | None,
    axes: torch.Tensor,
) -> torch.Tensor:
    """One step, or one rise, of every row; (rows, SIZE)."""
    drawn = 0

    def randn() -> torch.Tensor:
        nonlocal drawn
        drawn += 1
        z = torch.zeros_like(x)
        z[1 + drawn * SIZE : 1 + (drawn + 1) * SIZE, :, 0] = axes
        return z

    if pair[1].snr < pair[0].snr:
        return renoised(x, *pair, randn)[..., 0]
    *_, last = steps(denoise, solver, pair, x, randn, constraint=constraint)
    return last.x[..., 0]


def curves() -> dict[str, list[Point]]:
    data, schedule = Row(), linear(1000)
    y = torch.full((KNOWN,), STD, dtype=torch.float64)
    image = torch.zeros(1, SIZE, 1, dtype=torch.float64)
    image[0, :KNOWN, 0] = y
    mask = Mask((torch.arange(SIZE) < KNOWN).reshape(1, SIZE, 1))
    mmps, ddnm, replacement = (
        MMPS(data, mask, image, iterations=KNOWN),
        DDNM(data, mask, image),
        Replacement(mask, image),
    )

    def point(denoise: Denoiser, solver: Solver, grid: Sequence[Level], constraint: Constraint | None) -> Point:
        calls = evaluations(solver, grid) * (1 + 2 * KNOWN if denoise is mmps else 1)
        return calls, *data.errors(y, *moments(denoise, solver, grid, constraint))

    ways: dict[str, Callable[[Sequence[Level]], Point]] = {
        "replacement, ancestral": lambda grid: point(data, Ancestral(), grid, replacement),
        "replacement, ddim": lambda grid: point(data, DDIM(), grid, replacement),
        "DDNM, ancestral": lambda grid: point(ddnm, Ancestral(), grid, None),
        "DDNM, ddim": lambda grid: point(ddnm, DDIM(), grid, None),
        "MMPS, ancestral": lambda grid: point(mmps, Ancestral(), grid, None),
        "MMPS, ddim": lambda grid: point(mmps, DDIM(), grid, None),
        "MMPS, heun": lambda grid: point(mmps, Heun(), grid, None),
    }
    resampled: dict[str, Callable[[Sequence[Level]], Point]] = {
        "RePaint, ancestral": ways["replacement, ancestral"],
        "RePaint, ddim": ways["replacement, ddim"],
        "RePaint, heun": lambda grid: point(data, Heun(), grid, replacement),
        "DDNM, ancestral": ways["DDNM, ancestral"],
    }
    found = {name: [way(uniform(schedule, n)) for n in STEPS] for name, way in ways.items()}
    for n, jumps in JUMPS.items():
        for jump in jumps:
            grids = [repaint(uniform(schedule, n), jump, times) for times in TIMES]
            for name, way in resampled.items():
                found[f"{name}, {n} steps, jump {jump}"] = [way(grid) for grid in grids]
    return found


def few() -> list[str]:
    """Measure MMPS with this many iterations and 50 steps, by samples."""
    data, y = Row(), torch.full((KNOWN,), STD, dtype=torch.float64)
    image = torch.zeros(1, SIZE, 1, dtype=torch.float64)
    image[0, :KNOWN, 0] = y
    mask, rows = Mask((torch.arange(SIZE) < KNOWN).reshape(1, SIZE, 1)), []
    for name, solver in (("ancestral", Ancestral()), ("ddim", DDIM())):
        cells = []
        for iterations in ITERATIONS:
            drawn = torch.Generator().manual_seed(0)
            x = sample(
                DDNM(MMPS(data, mask, image, iterations=iterations), mask, image),
                solver,
                uniform(linear(1000), 50),
                lambda drawn=drawn: torch.randn(SAMPLES, SIZE, 1, generator=drawn, dtype=torch.float64),
            )[..., 0]
            mean, cov = data.errors(y, x.mean(0), x.mT.cov())
            cells.append(f"{mean:.3f}, {cov:.3f}")
        rows.append(f"| MMPS, {name}, 50 steps | " + " | ".join(cells) + " |")
    return [
        "| iterations | " + " | ".join(map(str, ITERATIONS)) + " |",
        "|---" + "|---:" * len(ITERATIONS) + "|",
        *rows,
    ]


def lines(found: dict[str, list[Point]]) -> list[str]:
    rows = []
    for over, counts, wanted in (("steps", STEPS, False), ("times", TIMES, True)):
        rows += [f"| {over} | " + " | ".join(map(str, counts)) + " |", "|---" + "|---:" * len(counts) + "|"]
        for name, curve in found.items():
            if ("jump" in name) is wanted:
                rows.append(f"| {name} | " + " | ".join(f"{mean:.3f}, {cov:.3f}" for _, mean, cov in curve) + " |")
        rows.append("")
    return rows


def draw(found: dict[str, list[Point]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shown = {
        "replacement, ancestral": "C0o-",
        "replacement, ddim": "C0^:",
        "DDNM, ancestral": "C1s-",
        "DDNM, ddim": "C1^:",
        "MMPS, ancestral": "ko-",
        "MMPS, heun": "kD:",
        "RePaint, ancestral, 50 steps, jump 10": "C2o--",
        "RePaint, ancestral, 250 steps, jump 10": "C3o-",
        "RePaint, heun, 50 steps, jump 1": "C4D-",
        "RePaint, heun, 250 steps, jump 10": "C5D-",
    }
    figure, panels = plt.subplots(1, 2, figsize=(10, 4.8), sharex=True, layout="constrained")
    for panel, column, title in zip(panels, (1, 2), ("mean", "covariance"), strict=True):
        for name, style in shown.items():
            panel.plot([p[0] for p in found[name]], [p[column] for p in found[name]], style, label=name, markersize=4)
        panel.set(
            xscale="log",
            yscale="log",
            xlabel="network calls, a gradient as two",
            title=f"relative error of the {title}",
        )
        panel.grid(alpha=0.3, which="both")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="draw the errors to this picture")
    given = parser.parse_args()
    found = curves()
    print("\n".join([*lines(found), *few()]))
    if given.out is not None:
        draw(found, given.out)


if __name__ == "__main__":
    main()

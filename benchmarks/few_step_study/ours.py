"""The solvers and grids of ddpm."""

from collections.abc import Callable
from functools import partial
from itertools import product

import torch

from ddpm import build
from ddpm.core import Denoised, Level, Schedule
from ddpm.core.schedule import level_of
from ddpm.sampling import Solver, steps
from ddpm.sampling.branching import Branching
from ddpm.sampling.shortest import Paths, shortest
from ddpm.sampling.tuning import Candidate, best, most_calls, screened

from .digits import Digits, Error, Rows, solve, starts

TUNED = (5, 6, 8, 10)
TUNABLE = ("dpm++-2m", "unipc-2", "unipc-3", "deis-3", "ipndm-2", "ipndm-3", "ipndm-4")
STARTS = ("trailing", "uniform", "quadratic", "log-snr", "karras")
GRIDS = {way: grid for way, grid in build.GRIDS.items() if way not in ("linspace", "exponential")}
"""Each by one name."""


def deterministic(schedule: Schedule) -> dict[str, Solver]:
    """All solvers that draw no noise."""
    made = {name: make(partial(level_of, schedule)) for name, make in build.SOLVERS.items()}
    point = torch.full((1, 1, 2, 2), 0.1, dtype=torch.float64)
    found = {}
    for name, solver in made.items():
        drawn: list[int] = []

        def randn(drawn: list[int] = drawn) -> torch.Tensor:
            drawn.append(1)
            return point

        list(steps(lambda x, level, cond: Denoised(x / 2), solver, build.GRIDS["trailing"](schedule, 3), point, randn))
        if not drawn and name != "adaptive":
            found[name] = solver
    return found


def with_evaluations(solver: Solver, grid: Callable[[int], list[Level]], wanted: int) -> list[Level]:
    """The longest grid on which a solver asks no more often than wanted."""
    grids = (grid(n) for n in range(wanted, 0, -1))
    return next(levels for levels in grids if solver.evaluations(levels) <= wanted)


def ours(
    denoise: Digits,
    schedule: Schedule,
    counts: tuple[int, ...],
    noise: torch.Tensor,
    end: torch.Tensor,
    solvers: tuple[str, ...] = (),
) -> Rows:
    """Each solver that draws no noise, or those named, on each grid."""
    rows: Rows = {}
    known = deterministic(schedule)
    for name, (way, grid) in product(solvers or known, GRIDS.items()):
        row = rows.setdefault(f"{name}, {way}", {})
        for count in counts:
            levels = with_evaluations(known[name], partial(grid, schedule), count)
            denoise.asked = 0
            row[count] = denoise.error(solve(denoise, known[name], levels, noise), end)
            assert denoise.asked <= count, (name, way, count, denoise.asked)
    return rows


def tuned(denoise: Digits, schedule: Schedule, noise: torch.Tensor, end: torch.Tensor) -> Rows:
    """Solvers and grids chosen and made on other starts."""
    other = starts(1, 128)
    fine = build.GRIDS["log-snr"](schedule, 60)
    solvers = deterministic(schedule)
    heun = solvers["heun"]
    x, x0 = [fine[0].sigma * other], []
    for step in steps(denoise, heun, fine, x[0], lambda: other):
        x0.append(denoise(x[-1], fine[step.number - 1]).x0)
        x.append(step.x)
    known = Paths(fine, x, x0)
    target = solve(denoise, heun, build.GRIDS["log-snr"](schedule, 1000), other)

    def begun(solver: Solver, n: int) -> Branching:
        return Branching(denoise, solver, x[0][:n], Denoised(x0[0][:n]))

    row: dict[int, Error] = {}
    for count in TUNED:
        grids = {way: build.GRIDS[way](schedule, count) for way in STARTS}
        grids["shortest way"] = [fine[i] for i in shortest(known, count)]
        candidates = [
            Candidate(name, way, partial(begun, solvers[name]), grids[way]) for name, way in product(TUNABLE, grids)
        ]
        denoise.images = 0
        found = best(screened(candidates, target), target, partial(level_of, schedule))
        solver, start, _, _ = found.candidate
        most = most_calls(len(TUNABLE), len(grids), count, len(other))
        assert denoise.images <= most
        print(f"tuned, {count}: {solver} from {start}, {denoise.images} of at most {most} calls")
        row[count] = denoise.error(solve(denoise, solvers[solver], list(found.grid), noise), end)
    return {"tuned": row}

"""From a run to the grids on which few steps stay closest to its many-step solution."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import torch

from ddpm import build
from ddpm.config import SamplingConfig
from ddpm.core import Level
from ddpm.core.schedule import level_of, place_of
from ddpm.errors import InputError
from ddpm.pipeline import Pipeline
from ddpm.sampling import SampleNoise
from ddpm.sampling import steps as walk
from ddpm.sampling.tuning import Paths, Refinement, Way, best, distance, shortest
from ddpm.tuned import TunedGrid, TunedRecord

SOLVERS = ("dpm++-2m", "unipc-2", "unipc-3", "deis-3", "ipndm-2", "ipndm-3", "ipndm-4")
"""One network call a step, and no noise."""
GRIDS = ("trailing", "uniform", "quadratic", "log-snr", "karras")
REFERENCE = {"solver": "dpm++-2m", "grid": "trailing", "eta": None}
CANDIDATES = 50
"""Levels of the reference among which the shortest way is looked for."""

SHORTEST = "shortest way"
KEPT = 2
"""Solvers whose grids are refined to the end."""
QUICK = Refinement(halvings=3, sweeps=2)
"""A few minutes' worth."""

Say = Callable[[str, int, int], None]
"""Called with (what is being done, done, in all)."""


@dataclass(frozen=True)
class AskTune:
    """What to tune.

    Attributes:
        steps: numbers of steps.
        solvers: which to choose from.
        images: to make the grids on, and as many more to measure them on.
        seed: of their noise.
        reference: steps of the many-step solution.
        sampling: guidance and clipping, where they shall differ from the run's own.
        refinement: how far grids are moved.
    """

    steps: Sequence[int]
    solvers: Sequence[str] = SOLVERS
    images: int = 32
    seed: int = 0
    reference: int = 200
    sampling: Mapping[str, Any] = field(default_factory=dict)
    refinement: Refinement = QUICK


def tune(pipe: Pipeline, ask: AskTune, say: Say) -> TunedRecord:
    """Find a solver and a grid for each number of steps.

    Every solver is tried on every grid that has a name, and on the shortest way along the reference; the levels of each
    one's best are then moved a little, and those of the best of these as far as it helps. All that on half of the
    images; the errors are of the other half.

    Raises:
        InputError: steps, solvers or settings that cannot be had.
    """
    if strange := [name for name in ask.solvers if name not in SOLVERS]:
        raise InputError(f"{strange[0]} cannot be tuned (known: {', '.join(SOLVERS)})")
    if ask.images < 2:
        raise InputError(f"-n must be at least 2, not {ask.images}")
    if not ask.steps or min(ask.steps) < 2:
        raise InputError("--steps must be numbers from 2 on, as in 6,8,10: a single step has no level to choose")
    pipe = replace(pipe, tuned=())  # what the run does without
    long = pipe.settings({**ask.sampling, **REFERENCE, "steps": min(ask.reference, pipe.schedule.T)})
    if max(ask.steps) >= long.steps:
        raise InputError(f"--steps {max(ask.steps)} are as many as the reference has; give fewer than {long.steps}")
    made, other = (_Problem(pipe, long, ask.seed, range(i * ask.images, (i + 1) * ask.images)) for i in (0, 1))
    known, end = made.reference(lambda i, of: say("the many-step solution", i, of))
    *_, unseen = other.ends(long, lambda i, of: say("the many-step solution of others", i, of))
    found = []
    for count in ask.steps:
        found.append(_tuned(made, other, known, end, unseen, count, ask, partial(say, f"{count} steps")))
    return TunedRecord(weights=pipe.weights, images=ask.images, seed=ask.seed, reference=long, grids=tuple(found))


class _Problem:
    """Images of a run from fixed noise, their classes in turn."""

    def __init__(self, pipe: Pipeline, how: SamplingConfig, seed: int, indices: range) -> None:
        self.pipe, self.how = pipe, how
        labels = [i % len(pipe.classes) for i in indices] if pipe.classes else None
        self.denoise = pipe.denoiser(how, labelled=labels is not None)
        self.cond = pipe.cond(labels, len(indices))
        shape = (pipe.config.network.in_channels, *pipe.config.data.size)
        self.noise = SampleNoise(seed, indices, shape, pipe.device)()
        self.between = partial(level_of, pipe.schedule)

    def ends(self, how: SamplingConfig, progress: Callable[[int, int], None] | None = None) -> Iterator[torch.Tensor]:
        """Where the images are after each step."""
        grid = build.build_grid(how, self.pipe.schedule)
        for number, x in self.solve(how, grid):
            if progress is not None:
                progress(number, how.steps)
            yield x

    def solve(self, how: SamplingConfig, grid: Sequence[Level]) -> Iterator[tuple[int, torch.Tensor]]:
        solver = build.build_solver(how, self.pipe.schedule)
        x = grid[0].sigma * self.noise
        for step in walk(self.denoise, solver, grid, x, lambda: self.noise, self.cond):
            yield step.number, step.x

    def end(self, how: SamplingConfig, grid: Sequence[Level]) -> torch.Tensor:
        *_, (_, x) = self.solve(how, grid)
        return x

    def reference(self, progress: Callable[[int, int], None]) -> tuple[Paths, torch.Tensor]:
        """The many-step solution at some of its levels, and its end."""
        grid = build.build_grid(self.how, self.pipe.schedule)
        x = [grid[0].sigma * self.noise, *self.ends(self.how, progress)]
        kept = sorted({round(i * (len(grid) - 1) / CANDIDATES) for i in range(CANDIDATES + 1)})
        with torch.no_grad():
            x0 = [self.denoise(x[i], grid[i], self.cond).x0 for i in kept[:-1]]
        return Paths([grid[i] for i in kept], [x[i] for i in kept], x0), x[-1]


def _tuned(
    made: _Problem,
    other: _Problem,
    known: Paths,
    end: torch.Tensor,
    unseen: torch.Tensor,
    count: int,
    ask: AskTune,
    say: Callable[[int, int], None],
) -> TunedGrid:
    pipe, schedule = made.pipe, made.pipe.schedule
    grids = {name: build.GRIDS[name](schedule, count) for name in GRIDS}
    grids[SHORTEST] = [known.levels[i] for i in shortest(known, count)]
    errors: dict[tuple[str, str], float] = {}
    for i, (solver, name) in enumerate(tries := list(product(ask.solvers, grids)), 1):
        errors[solver, name] = distance(made.end(_with(pipe, ask, solver, count), grids[name]), end)
        say(i, 2 * len(tries))
    ways = []
    for solver in ask.solvers:
        _, name = min((errors[solver, name], name) for name in grids)
        ways.append(Way(f"{solver}, {name}", partial(made.end, _with(pipe, ask, solver, count)), grids[name]))
    found = best(
        ways, end, made.between, ask.refinement, KEPT, progress=lambda i, of: say(len(tries) + i, len(tries) + of)
    )

    def unseen_error(solver: str, levels: Sequence[Level]) -> float:
        return distance(other.end(_with(pipe, ask, solver, count), levels), unseen)

    usual = pipe.settings({**ask.sampling, "steps": count})
    named_solver, named = min((pair for pair in errors if pair[1] != SHORTEST), key=errors.__getitem__)
    # the first is kept unless moving its levels helped images that they were not moved for
    choices = [(named_solver, grids[named], f"{named_solver}, {named}")]
    choices.append((found.way.name.split(", ")[0], found.levels, found.way.name))
    unmoved, moved = (unseen_error(solver, levels) for solver, levels, _ in choices)
    solver, levels, name = choices[1] if moved < unmoved else choices[0]
    places = tuple(place_of(schedule, level) for level in levels[:-1])
    return TunedGrid(
        sampling=pipe.settings({**ask.sampling, "solver": solver, "grid": places}),
        start=name,
        usual=distance(other.end(usual, build.build_grid(usual, schedule)), unseen),
        untuned=unmoved,
        tuned=min(unmoved, moved),
    )


def _with(pipe: Pipeline, ask: AskTune, solver: str, count: int) -> SamplingConfig:
    return pipe.settings({**ask.sampling, "solver": solver, "steps": count, "grid": "trailing"})


def joined(folder: Path, found: TunedRecord) -> TunedRecord:
    """What was found, and of an earlier record in the folder what is of other numbers of steps and made alike."""
    earlier = TunedRecord.read(folder)
    if earlier is None or earlier.model_copy(update={"grids": found.grids}) != found:
        return found
    others = [grid for grid in earlier.grids if grid.sampling.steps not in {g.sampling.steps for g in found.grids}]
    return found.model_copy(
        update={"grids": tuple(sorted((*others, *found.grids), key=lambda grid: grid.sampling.steps))}
    )

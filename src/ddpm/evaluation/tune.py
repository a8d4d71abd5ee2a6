"""Find the grids on which few steps stay closest to a run's many-step solution."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch

from ddpm.config.sampling import SamplingConfig
from ddpm.core import Cond, Denoised, Denoiser, Level
from ddpm.core.schedule import level_of, timestep_of
from ddpm.engine.options import settings
from ddpm.engine.run import LoadedRun
from ddpm.engine.trajectory import spread
from ddpm.evaluation.drawn import SampleRecipe, prompts_of
from ddpm.evaluation.options import EvaluationOptions
from ddpm.evaluation.reference import reference
from ddpm.records.run_folder import RunFolder
from ddpm.records.tuning import TunedGrid, TunedRecord
from ddpm.sampling import rows_of, sample, start
from ddpm.sampling.branching import Branching
from ddpm.sampling.follow import follow
from ddpm.sampling.shortest import Paths, distance, shortest
from ddpm.sampling.tuning import ROUNDS, Candidate, Round, best, most_calls, screened
from ddpm.system.errors import InputError
from ddpm.system.names import GridName
from ddpm.system.progress import Progress

SOLVERS = ("dpm++-2m", "unipc-2", "unipc-3", "deis-3", "ipndm-2", "ipndm-3", "ipndm-4")
"""Solvers that make one network call per step and draw no noise."""
GRIDS: tuple[GridName, ...] = ("trailing", "uniform", "quadratic", "log-snr", "karras")
SHORTEST = "shortest way"
REFERENCE = {"solver": "dpm++-2m", "grid": "trailing"}
CANDIDATES = 50
"""Levels of the reference that the shortest way is chosen from."""
NAMED = 4
"""The number of candidates with named grids that are compared, untuned, on all images."""


@dataclass(frozen=True)
class AskTune:
    """The settings of a tuning.

    Attributes:
        steps: numbers of steps.
        solvers: the solvers to choose from.
        images: the number of images to tune on, and as many again to measure on.
        seed: the seed of their noise.
        reference: steps of the many-step solution.
        sampling: guidance and clipping that override the run's own.
        rounds: how far levels are moved.
    """

    steps: Sequence[int]
    solvers: Sequence[str] = SOLVERS
    images: int = 32
    seed: int = 0
    reference: int = 200
    sampling: Mapping[str, Any] = field(default_factory=dict)
    rounds: Sequence[Round] = ROUNDS


def tune(loaded: LoadedRun, ask: AskTune, progress: Progress) -> TunedRecord:
    """Find a solver and a grid for each number of steps.

    Every solver is tried on every named grid and on the shortest way along the reference. The levels of each solver's
    best grid are then moved while that helps, for fewer solvers each round. All of this uses half of the images; the
    errors are measured on the other half.

    Args:
        progress: called with the number of images denoised so far, and the most in total.

    Raises:
        InputError: steps, solvers or settings cannot be used, or the captions of the run's data cannot be read.
    """
    loaded = replace(loaded, tuned=())  # so that defaults are those of an untuned run
    long, most = _plan(loaded, ask)
    count = _Count(progress, 2 * ask.images * long.steps + sum(most.values()))
    prompts = _prompts(loaded)
    made, other = (_Problem(loaded, long, ask, i, count, prompts) for i in (0, 1))
    found = []
    for n in ask.steps:
        with count.part(f"{n} steps", most[n]):
            found.append(_tuned(made, other, n, ask))
    return TunedRecord(weights=loaded.weights, images=ask.images, seed=ask.seed, reference=long, grids=tuple(found))


def planned(loaded: LoadedRun, ask: AskTune) -> int:
    """Count the most images that will be denoised.

    Raises:
        InputError: steps, solvers or settings cannot be used.
    """
    long, most = _plan(replace(loaded, tuned=()), ask)
    return 2 * ask.images * long.steps + sum(most.values())


def _plan(loaded: LoadedRun, ask: AskTune) -> tuple[SamplingConfig, dict[int, int]]:
    """The settings of the many-step solution, and the most images denoised for each number of steps."""
    loaded.refuse_super_resolution()
    loaded.refuse_student("tuning")
    if strange := [name for name in ask.solvers if name not in SOLVERS]:
        raise InputError("unknown", f"{strange[0]} cannot be tuned; use one of {', '.join(SOLVERS)}")
    if ask.images < 2:
        raise InputError("invalid", f"-n must be at least 2, not {ask.images}")
    if not ask.steps or min(ask.steps) < 2:
        raise InputError("invalid", "--steps must be at least 2, as in 6,8,10: a single step has no level to move")
    long = settings(loaded, {**ask.sampling, **REFERENCE, "steps": min(ask.reference, loaded.engine.schedule.T)})
    if long.classifier is not None:
        raise InputError("conflict", "grids cannot be tuned with a classifier; use it only in `ddpm sample`")
    if max(ask.steps) >= long.steps:
        raise InputError(
            "invalid", f"--steps {max(ask.steps)} is too many; use fewer than the {long.steps} of the reference"
        )
    most = {}
    for count in ask.steps:
        usual = settings(loaded, {**ask.sampling, "steps": count})
        grid = loaded.engine.grid(usual)
        alone = (NAMED + 2) * (count - 1) + loaded.engine.solver(usual).evaluations(grid)
        most[count] = ask.images * alone
        most[count] += most_calls(len(ask.solvers), len(GRIDS) + 1, count, ask.images, ask.rounds)
    return long, most


def _prompts(loaded: LoadedRun) -> tuple[tuple[str, ...], ...]:
    """Captions of the run's data as prompts, by class; empty for a run without text, or without known data."""
    if loaded.text is None or not loaded.config.data.source:
        return ()
    try:
        return prompts_of(loaded, reference(EvaluationOptions(), loaded.config.data).data)[0]
    except InputError as e:
        raise InputError(e.code, f"tuning draws samples with captions of the run's data: {e}") from e


class _Count:
    """A counter of denoised images, which lowers the total when a part takes fewer than planned."""

    def __init__(self, progress: Progress, planned: int) -> None:
        self.progress, self.planned, self.asked, self.doing = progress, planned, 0, ""

    @contextmanager
    def part(self, name: str, most: int) -> Iterator[None]:
        before, self.doing = self.asked, name
        yield
        assert self.asked - before <= most
        self.planned -= most - (self.asked - before)
        self.progress(self.asked, self.planned, name)

    def __call__(self, denoise: Denoiser, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        found = denoise(x, level, cond)
        self.asked += len(x)
        self.progress(self.asked, self.planned, self.doing)
        return found


class _Problem:
    """Images of a run from fixed noise, their classes and prompts in turn, and their many-step solution.

    Attributes:
        noise: returns the noise of the images from its start.
        known: the solution at some of its levels.
        end: the end of the solution, (B, C, *space).
    """

    def __init__(
        self,
        loaded: LoadedRun,
        long: SamplingConfig,
        ask: AskTune,
        half: int,
        count: _Count,
        prompts: tuple[tuple[str, ...], ...],
    ) -> None:
        indices = range(half * ask.images, (half + 1) * ask.images)
        self.loaded, self.engine, self.how = loaded, loaded.engine, long
        even = (1.0,) * len(loaded.classes)
        self.subjects = SampleRecipe("", long, ask.seed, even, prompts).subjects(np.asarray(indices))
        self.denoise = partial(count, loaded.engine.denoiser(long, loaded.guides(long, self.subjects)))
        self.noise = partial(loaded.engine.noise, rows_of(ask.seed, indices))
        with count.part("reference", ask.images * long.steps):
            self.known, self.end = self._paths(long)

    def cond(self, n: int) -> Cond | None:
        """The conditions of the first n images."""
        return self.engine.cond(self.loaded.conditions(self.subjects), list(range(n)), self.how)

    def run(self, how: SamplingConfig) -> torch.Tensor:
        """Sample the images with these settings."""
        grid, solver, randn = self.engine.grid(how), self.engine.solver(how), self.noise()
        return sample(self.denoise, solver, grid, randn, self.cond(len(self.end)))

    def branching(self, how: SamplingConfig, n: int) -> Branching:
        """A solver with these settings that can branch, on the first n images."""
        solver = self.engine.solver(how)
        return Branching(self.denoise, solver, self.known.x[0][:n], Denoised(self.known.x0[0][:n]), self.cond(n))

    def error(self, how: SamplingConfig, grid: Sequence[Level]) -> float:
        """Measure the distance from the solution over all images."""
        return distance(self.branching(how, len(self.end))(grid).end, self.end)

    def _paths(self, how: SamplingConfig) -> tuple[Paths, torch.Tensor]:
        grid, solver, randn = self.engine.grid(how), self.engine.solver(how), self.noise()
        x = start(grid[0], randn)
        moments = follow(self.denoise, solver, grid, x, randn, self.cond(len(x)))
        kept = [moment for moment in moments if moment.number in spread(moment.of, CANDIDATES + 1)]
        return Paths([m.level for m in kept], [m.x for m in kept], [m.x0 for m in kept[:-1]]), kept[-1].x


def _tuned(made: _Problem, other: _Problem, count: int, ask: AskTune) -> TunedGrid:
    loaded, schedule = made.loaded, made.engine.schedule
    grids: dict[str, Sequence[Level]] = {
        name: made.engine.grid(SamplingConfig(grid=name, steps=count)) for name in GRIDS
    }
    grids[SHORTEST] = [made.known.levels[i] for i in shortest(made.known, count)]
    how = {
        name: settings(loaded, {**ask.sampling, "solver": name, "steps": count, "grid": "trailing"})
        for name in ask.solvers
    }
    candidates = [
        Candidate(solver, name, partial(made.branching, how[solver]), grids[name])
        for solver, name in product(ask.solvers, grids)
    ]
    candidates = screened(candidates, made.end)
    few = [candidate for candidate in candidates if candidate.start != SHORTEST][:NAMED]
    named = min(few, key=lambda candidate: made.error(how[candidate.solver], candidate.grid))
    found = best(candidates, made.end, partial(level_of, schedule), ask.rounds)
    # keep the named grid unless the tuned one is better on images it was not tuned on
    untuned = other.error(how[named.solver], named.grid)
    tuned = other.error(how[found.candidate.solver], found.grid)
    candidate, levels = (found.candidate, found.grid) if tuned < untuned else (named, named.grid)
    usual = settings(loaded, {**ask.sampling, "steps": count})
    return TunedGrid(
        sampling=settings(
            loaded,
            {
                **ask.sampling,
                "solver": candidate.solver,
                "grid": tuple(timestep_of(schedule, level) for level in levels[:-1]),
            },
        ),
        start=f"{candidate.solver}, {candidate.start}",
        usual=distance(other.run(usual), other.end),
        untuned=untuned,
        tuned=min(untuned, tuned),
    )


def joined(run: RunFolder, found: TunedRecord) -> TunedRecord:
    """Add to a record the grids for other numbers of steps from the run's earlier one, if that was tuned alike."""
    earlier = run.tuned()
    if earlier is None or earlier.model_copy(update={"grids": found.grids}) != found:
        return found
    others = [grid for grid in earlier.grids if grid.sampling.steps not in {g.sampling.steps for g in found.grids}]
    return found.model_copy(
        update={"grids": tuple(sorted((*others, *found.grids), key=lambda grid: grid.sampling.steps))}
    )

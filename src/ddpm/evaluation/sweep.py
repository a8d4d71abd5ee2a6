"""Sample the same images in many ways, and compare results, cost and quality."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import product
from typing import Any, get_args

import torch

from ddpm import build
from ddpm.config.sampling import SamplingConfig
from ddpm.core import Cond, Denoised, Level
from ddpm.engine.labels import Label
from ddpm.engine.options import refuse_idle, refuse_null, settings
from ddpm.engine.run import LoadedRun
from ddpm.engine.subjects import Subjects, in_turn
from ddpm.evaluation.drawn import SHARD, SampleRecipe, SampleStore, prompts_of, proportions_of
from ddpm.evaluation.measure import FEW, REPLICATES
from ddpm.evaluation.options import EvaluationOptions
from ddpm.evaluation.reference import FEWEST, Real, reference
from ddpm.evaluation.tune import REFERENCE
from ddpm.images.pixels import Pixels
from ddpm.metrics import frechet
from ddpm.metrics.estimate import Estimate, resamples
from ddpm.metrics.features.extract import extract, extract_once
from ddpm.records.run_folder import RunFolder
from ddpm.records.score import FeaturesRecord, ReferenceRecord
from ddpm.records.sweep import Cell, FrechetBasis, SweepRecord
from ddpm.sampling import Solver, sample
from ddpm.sampling.follow import Moment
from ddpm.sampling.shortest import distance
from ddpm.system.errors import InputError
from ddpm.system.names import GridName, SolverName, suggest
from ddpm.system.progress import Progress, doing, part_of

MOST = 64
"""The most images shown for each way, which are one batch."""
MANY = 200
"""Steps of the many-step solution; twice the largest number in the sweep, if that is more."""


@dataclass(frozen=True)
class SweepPlan:
    """A sweep whose settings have all been checked.

    Attributes:
        ways: ordered by guidance, then solver and grid, then steps.
        evaluations: network calls of each way per image.
        solutions: the many-step solution for each guidance.
        n: the number of images shown for each way.
        subjects: the labels and the prompts of the images shown.
        seed: the seed of their noise.
        data: the real images; None takes those of the run's source.
        samples: the number of samples per Fréchet distance; 0 for none.
        cost: the most network evaluations of single images in total.
    """

    ways: tuple[SamplingConfig, ...]
    evaluations: tuple[int, ...]
    solutions: tuple[SamplingConfig, ...]
    n: int
    subjects: Subjects
    seed: int
    data: str | None
    samples: int
    cost: int


def plan(
    loaded: LoadedRun,
    solvers: Sequence[str],
    steps: Sequence[int],
    grids: Sequence[str] = (),
    guidance: Sequence[float] = (),
    *,
    n: int = 8,
    labels: Sequence[Label] = (),
    prompts: Sequence[str] = (),
    seed: int = 0,
    data: str | None = None,
    samples: int = 200,
) -> SweepPlan:
    """Plan every combination of solvers, numbers of steps, grids and guidance scales.

    Args:
        grids: their names; the run's own if empty, or trailing if that is a list.
        guidance: the guidance scales; the run's own if empty.
        labels: the classes of the images shown, in turn; all of the run's if empty.
        prompts: their prompts, in turn.
        n, seed, data, samples: see :class:`SweepPlan`.

    Raises:
        InputError: a combination cannot be drawn, or an option has no effect.
    """
    loaded.refuse_super_resolution()
    if not 1 <= n <= MOST:
        raise InputError("invalid", f"-n must be between 1 and {MOST}, not {n}")
    if samples and samples < FEWEST:
        raise InputError("invalid", f"--samples {samples} is too few; use at least {FEWEST}, or 0 for none")
    if data is not None and not samples:
        raise InputError("conflict", f"--data {data} cannot be combined with --samples 0; drop one of them")
    own = loaded.sampling
    named = list(grids) or [own.grid if isinstance(own.grid, str) else "trailing"]
    usable = loaded.learned or (own.guidance is not None and own.guidance.guide is not None)
    scales: list[float | None] = list(guidance) or [None if usable else 1.0]  # None leaves the run's own
    for what, given, known in (("solver", solvers, get_args(SolverName)), ("grid", named, get_args(GridName))):
        if strange := [name for name in given if name not in known]:
            raise InputError("unknown", f"unknown {what} {strange[0]!r}{suggest(strange[0], list(known))}")
    if "adaptive" in solvers:
        raise InputError("conflict", "the adaptive solver chooses its own number of steps; drop it from --solvers")
    if not solvers or not steps:
        raise InputError("invalid", "a sweep needs --solvers and --steps, such as --solvers ddim --steps 5,10")
    shown = loaded.subjects(in_turn("label", labels, n), in_turn("prompt", prompts, n), n)
    if shown.labels is None and loaded.classes:
        shown = replace(shown, labels=tuple(i % len(loaded.classes) for i in range(n)))
    ways, evaluations = [], []
    for scale, solver, grid, count in product(*map(_once, (scales, solvers, named, sorted(steps)))):
        change = {"guidance": scale, "solver": solver, "grid": grid, "steps": count}
        how = settings(loaded, change)
        refuse_null(loaded, how, shown)
        refuse_idle(loaded, change, how, shown)
        levels = loaded.engine.grid(how)
        evaluations.append(loaded.engine.solver(how).evaluations(levels))
        ways.append(how)
    many = min(max(MANY, 2 * max(steps)), loaded.engine.schedule.T)
    solutions = [settings(loaded, {**REFERENCE, "steps": many, "guidance": scale}) for scale in _once(scales)]
    drawn = -(-samples // SHARD) * SHARD
    cost = sum(evaluations) * (n + drawn) + sum(how.steps for how in solutions) * n
    return SweepPlan(tuple(ways), tuple(evaluations), tuple(solutions), n, shown, seed, data, samples, cost)


def sweep(loaded: LoadedRun, todo: SweepPlan, progress: Progress) -> tuple[SweepRecord, list[Pixels], list[Pixels]]:
    """Draw the same images in every combination, and measure each.

    Measured samples stay in the run folder, shared with `ddpm evaluate`, and are not drawn again.

    Returns:
        The record, and the images shown: (n, H, W, C) uint8 for each way, and for each many-step solution.

    Raises:
        InputError: the given real images cannot be used.
    """
    data, notes = loaded.config.data, []
    theirs: Real | None = None
    if todo.samples:
        try:
            theirs = reference(
                EvaluationOptions(todo.data, fit=data.fit, skip_bad=data.skip_bad),
                data,
                doing(progress, "reading the reference"),
            )
            if todo.data is None and theirs.data.fingerprint != data.fingerprint:
                raise InputError("incompatible", f"the images of {data.source} have changed since the run started")
        except InputError as e:
            if todo.data is not None:
                raise
            notes.append(f"no Fréchet distances: {e}; pass real images with --data")
    ends, solutions = {}, []
    for how in todo.solutions:
        pixels, ends[how.guidance_scale] = _shown(loaded, how, todo, progress)
        solutions.append(pixels)
    cells, shown = [], []
    for how, evaluations in zip(todo.ways, todo.evaluations, strict=True):
        pixels, x = _shown(loaded, how, todo, progress)
        shown.append(pixels)
        solver, levels = loaded.engine.solver(how), loaded.engine.grid(how)
        off = None if draws_noise(solver, levels) else distance(x, ends[how.guidance_scale])
        cells.append(Cell(sampling=how, evaluations=evaluations, distance=off))
    quality = None
    if theirs is not None:
        quality, distances = _measured(loaded, todo, theirs, progress)
        cells = [cell.model_copy(update={"frechet": d}) for cell, d in zip(cells, distances, strict=True)]
        if todo.samples < FEW:
            notes.append(
                f"Fréchet distances of few samples are biased: compare these only with others of {todo.samples}"
            )
    record = SweepRecord(
        made_by=f"ddpm {version('ddpm')}",
        run=str(loaded.source),
        weights=loaded.weights,
        seed=todo.seed,
        n=todo.n,
        labels=tuple(loaded.classes[k] for k in todo.subjects.labels or ()),
        prompts=todo.subjects.prompts or (),
        solutions=todo.solutions,
        cells=tuple(cells),
        quality=quality,
        notes=tuple(notes),
    )
    return record, shown, solutions


def draws_noise(solver: Solver, grid: Sequence[Level]) -> bool:
    """Whether a solver draws noise after the start, found by sampling a single number."""
    drawn = 0

    def randn() -> torch.Tensor:
        nonlocal drawn
        drawn += 1
        return torch.zeros(1, 1)

    def denoise(x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        return Denoised(torch.zeros_like(x), torch.zeros_like(x))

    sample(denoise, solver, grid, randn)
    return drawn > 1


def _shown(loaded: LoadedRun, how: SamplingConfig, todo: SweepPlan, progress: Progress) -> tuple[Pixels, torch.Tensor]:
    """Draw the images of a way, and return them with their last x, (n, C, H, W)."""
    last: list[torch.Tensor] = []

    def keep(moment: Moment) -> None:
        if moment.number == moment.of:  # of each part that is drawn by itself
            last.append(moment.x)

    report = doing(progress, f"drawing {how.short}")
    return loaded.draw(how, todo.subjects, todo.seed, list(range(todo.n)), report, keep), torch.cat(last)


def _measured(
    loaded: LoadedRun, todo: SweepPlan, real: Real, progress: Progress
) -> tuple[FrechetBasis, list[Estimate]]:
    """Measure the Fréchet distance of each way, as `ddpm evaluate` does for as many samples."""
    d = loaded.config.data
    extractor = build.build_features("embedded", None, d.size, loaded.engine.device)
    theirs = extract_once(extractor, real.data, doing(progress, "extracting features of the reference"))
    normal, counts = frechet.fit(theirs), resamples(todo.samples, REPLICATES)
    proportions, _ = proportions_of(loaded.classes, real.data)
    prompts, _ = prompts_of(loaded, real.data)
    home, shape = RunFolder.open(loaded.source).drawn, (*d.size, len(d.mode))
    recipes = [SampleRecipe(loaded.weights, how, todo.seed, proportions, prompts) for how in todo.ways]
    kept = [SampleStore(home / recipe.key, todo.samples, shape) for recipe in recipes]
    # network steps of each way's missing files, for the overall progress
    missing = [len(drawn.missing()) * how.steps for drawn, how in zip(kept, todo.ways, strict=True)]
    found = []
    for k, (drawn, recipe) in enumerate(zip(kept, recipes, strict=True)):
        report = part_of(doing(progress, "sampling"), sum(missing[:k]), sum(missing))
        for _ in drawn.draw(loaded, recipe, drawn.missing(), SHARD, report):
            pass
        found.append(frechet.estimate(extract(extractor, drawn), normal, counts))
    quality = FrechetBasis(
        n=todo.samples,
        features=FeaturesRecord.of(extractor),
        reference=ReferenceRecord.of(real.source, real.data),
        floor=frechet.floor(theirs, todo.samples),
    )
    return quality, found


def _once(values: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(values))

"""The same images by many ways of sampling: what changes, what it costs, how good it is."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, get_args

import torch

from ddpm import build
from ddpm.config.sampling import SamplingConfig
from ddpm.core import Cond, Denoised, Level
from ddpm.evaluation.drawn import SHARD, Drawn, Recipe
from ddpm.evaluation.evaluate import DRAWN
from ddpm.evaluation.measure import FEW, REPLICATES
from ddpm.evaluation.reference import FEWEST, Real, real
from ddpm.evaluation.shares import shares_of
from ddpm.evaluation.tune import REFERENCE
from ddpm.images.geometry import Geometry
from ddpm.images.pixels import Pixels
from ddpm.metrics import bootstrap, frechet
from ddpm.metrics.features.extract import extract, extract_once
from ddpm.pipeline import Label, Pipeline, run_folder
from ddpm.records.score import FeaturesRecord, Interval, ReferenceRecord
from ddpm.records.sweep import Cell, Quality, SweepRecord
from ddpm.sampling import Solver, sample
from ddpm.sampling.follow import Moment
from ddpm.sampling.shortest import distance
from ddpm.system.errors import InputError
from ddpm.system.names import GridName, SolverName, suggest

MOST = 64
"""Images shown of each way, which are one batch."""
MANY = 200
"""Steps of the many-step solution; twice the most of the sweep, if that is more."""

Say = Callable[[str, int, int], None]
"""Called with (what is being done, done, in all)."""


@dataclass(frozen=True)
class AskSweep:
    """What to sweep: every combination of these.

    Attributes:
        solvers, steps: by name, and numbers of them.
        grids: by name; the run's own if empty, or trailing where that is a list.
        guidance: scales; the run's own if empty.
        n: images shown of each.
        labels: their classes, taken in turn; all of the run's if empty.
        seed: of their noise.
        data: the real images, by default those of the run's source.
        samples: that each Fréchet distance is of; 0 for none.
    """

    solvers: Sequence[str]
    steps: Sequence[int]
    grids: Sequence[str] = ()
    guidance: Sequence[float] = ()
    n: int = 8
    labels: Sequence[Label] = ()
    seed: int = 0
    data: str | None = None
    samples: int = 200


class Sweep(NamedTuple):
    """What was found, and the images: (n, H, W, C) uint8 for each cell and for each many-step solution."""

    record: SweepRecord
    shown: list[Pixels]
    solutions: list[Pixels]


class Plan(NamedTuple):
    """What there is to do: all that is refused is refused by now.

    Attributes:
        ways: by guidance, then solver and grid, then steps.
        evaluations: network calls of each for one image.
        solutions: the many-step solution for each guidance.
        labels: of the images shown, by number; None without classes.
        cost: network evaluations of one image in all, at the most.
    """

    ways: list[SamplingConfig]
    evaluations: list[int]
    solutions: list[SamplingConfig]
    labels: list[int] | None
    cost: int


def plan(pipe: Pipeline, ask: AskSweep) -> Plan:
    """Every combination.

    Raises:
        InputError: one of them cannot be drawn, or has an option without effect.
    """
    pipe.refuse_given()
    if not 1 <= ask.n <= MOST:
        raise InputError(f"-n must be between 1 and {MOST}, not {ask.n}")
    if ask.samples and ask.samples < FEWEST:
        raise InputError(f"--samples {ask.samples} are too few to measure; give at least {FEWEST}, or 0 for none")
    if ask.data is not None and not ask.samples:
        raise InputError(f"--data {ask.data} is for Fréchet distances, and --samples 0 takes none; leave out either")
    own = pipe.config.sampling
    grids = list(ask.grids) or [own.grid if isinstance(own.grid, str) else "trailing"]
    scales = list(ask.guidance) or [own.guidance_scale if pipe.classes else 1.0]
    for what, given, known in (("solver", ask.solvers, get_args(SolverName)), ("grid", grids, get_args(GridName))):
        if strange := [name for name in given if name not in known]:
            raise InputError(f"unknown {what} {strange[0]!r}{suggest(strange[0], list(known))}")
    if "adaptive" in ask.solvers:
        raise InputError("adaptive decides itself how often it asks the network; leave it out of --solvers")
    if not ask.solvers or not ask.steps:
        raise InputError("a sweep needs --solvers and --steps, as in --solvers ddim,dpm++-2m --steps 5,10,20")
    names = [ask.labels[i % len(ask.labels)] for i in range(ask.n)] if ask.labels else None
    labels = pipe.labels(names, ask.n)
    if labels is None and pipe.classes:
        labels = [i % len(pipe.classes) for i in range(ask.n)]
    ways, evaluations = [], []
    for scale, solver, grid, steps in product(*map(_once, (scales, ask.solvers, grids, sorted(ask.steps)))):
        change = {"guidance": scale, "solver": solver, "grid": grid, "steps": steps}
        how = pipe.settings(change)
        pipe.refuse_idle(change, how, labelled=labels is not None)
        levels = build.build_grid(how, pipe.schedule)
        evaluations.append(build.build_solver(how, pipe.schedule).evaluations(levels))
        ways.append(how)
    many = min(max(MANY, 2 * max(ask.steps)), pipe.schedule.T)
    solutions = [pipe.settings({**REFERENCE, "steps": many, "guidance": scale}) for scale in _once(scales)]
    drawn = -(-ask.samples // SHARD) * SHARD
    cost = sum(evaluations) * (ask.n + drawn) + sum(how.steps for how in solutions) * ask.n
    return Plan(ways, evaluations, solutions, labels, cost)


def sweep(pipe: Pipeline, ask: AskSweep, say: Say) -> Sweep:
    """Draw the same images by every combination, and measure each.

    Samples that are measured stay in the run folder, where `ddpm evaluate` keeps its own, and are not drawn again.

    Raises:
        InputError: see :func:`plan`; or the real images that were named cannot be had.
    """
    todo, notes = plan(pipe, ask), []
    reference: Real | None = None
    if ask.samples:
        try:
            reference = _reference(pipe, ask, say)
        except InputError as e:
            if ask.data is not None:
                raise
            notes.append(f"no Fréchet distances: {e}; give real images by --data")
    ends, solutions = {}, []
    for how in todo.solutions:
        pixels, ends[how.guidance_scale] = _shown(pipe, how, todo.labels, ask, say)
        solutions.append(pixels)
    cells, shown = [], []
    for how, evaluations in zip(todo.ways, todo.evaluations, strict=True):
        pixels, x = _shown(pipe, how, todo.labels, ask, say)
        shown.append(pixels)
        solver, levels = build.build_solver(how, pipe.schedule), build.build_grid(how, pipe.schedule)
        off = None if draws_noise(solver, levels) else distance(x, ends[how.guidance_scale])
        cells.append(Cell(sampling=how, evaluations=evaluations, distance=off))
    quality = None
    if reference is not None:
        quality, distances = _measured(pipe, ask, todo.ways, reference, say)
        cells = [cell.model_copy(update={"frechet": d}) for cell, d in zip(cells, distances, strict=True)]
        if ask.samples < FEW:
            notes.append(f"{ask.samples} samples are few: compare these Fréchet distances only with others of as many")
    record = SweepRecord(
        made_by=f"ddpm {version('ddpm')}",
        run=str(pipe.source),
        weights=pipe.weights,
        seed=ask.seed,
        n=ask.n,
        labels=tuple(pipe.classes[k] for k in todo.labels or ()),
        solutions=tuple(todo.solutions),
        cells=tuple(cells),
        quality=quality,
        notes=tuple(notes),
    )
    return Sweep(record, shown, solutions)


def draws_noise(solver: Solver, grid: Sequence[Level]) -> bool:
    """Whether a solver asks for noise after the first, found by solving for a single number."""
    drawn = 0

    def randn() -> torch.Tensor:
        nonlocal drawn
        drawn += 1
        return torch.zeros(1, 1)

    def denoise(x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        return Denoised(torch.zeros_like(x), torch.zeros_like(x))

    sample(denoise, solver, grid, randn)
    return drawn > 1


def _shown(
    pipe: Pipeline, how: SamplingConfig, labels: list[int] | None, ask: AskSweep, say: Say
) -> tuple[Pixels, torch.Tensor]:
    """The images of a way, and their last x, (n, C, H, W)."""
    last: list[torch.Tensor] = []

    def keep(moment: Moment) -> None:
        last[:] = [moment.x]

    def report(done: int, of: int) -> None:
        say(f"showing {how.short}", done, of)

    return pipe.draw(how, labels, ask.seed, list(range(ask.n)), report, keep), last[0]


def _reference(pipe: Pipeline, ask: AskSweep, say: Say) -> Real:
    """The real images; those of the run as they were when it was started."""
    d = pipe.config.data
    geometry = Geometry(d.size, d.mode, d.fit)
    found = real(
        ask.data or d.source, geometry, skip_bad=d.skip_bad, progress=lambda i, of: say("reading the reference", i, of)
    )
    if ask.data is None and found.data.fingerprint != d.fingerprint:
        raise InputError(f"the images of {d.source} changed since the run was started")
    return found


def _measured(
    pipe: Pipeline, ask: AskSweep, ways: Sequence[SamplingConfig], reference: Real, say: Say
) -> tuple[Quality, list[Interval]]:
    """The Fréchet distance of each way, as `ddpm evaluate` takes it of as many samples."""
    d = pipe.config.data
    extractor = build.build_features("embedded", None, d.size, pipe.device)
    theirs = extract_once(extractor, reference.data, lambda i, of: say("looking at the reference", i, of))
    normal, counts = frechet.fit(theirs), bootstrap.counts(ask.samples, REPLICATES)
    shares, _ = shares_of(pipe.classes, reference.data)
    home, shape = run_folder(Path(pipe.source)) / DRAWN, (*d.size, len(d.mode))
    recipes = [Recipe(pipe.weights, how, ask.seed, shares) for how in ways]
    kept = [Drawn(home / recipe.key, ask.samples, shape) for recipe in recipes]
    # network steps of each way's missing files, to say how far all of them are
    missing = [len(drawn.missing()) * how.steps for drawn, how in zip(kept, ways, strict=True)]
    found = []
    for k, (drawn, recipe) in enumerate(zip(kept, recipes, strict=True)):

        def report(done: int, of: int, before: int = sum(missing[:k])) -> None:
            say("sampling", before + done, sum(missing))

        for _ in drawn.draw(pipe, recipe, drawn.missing(), SHARD, report):
            pass
        found.append(Interval(**frechet.estimate(extract(extractor, drawn), normal, counts)._asdict()))
    quality = Quality(
        n=ask.samples,
        features=FeaturesRecord(name=extractor.name, hash=extractor.hash, resize=extractor.resize, dim=extractor.dim),
        reference=ReferenceRecord(source=reference.source, hash=reference.hash, images=len(reference.data)),
        floor=frechet.floor(theirs, ask.samples),
    )
    return quality, found


def _once(values: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(values))

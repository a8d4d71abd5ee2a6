"""``ddpm tune``."""

import shlex
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ddpm.cli.flags import refuse_flags
from ddpm.cli.numbers import integers, words
from ddpm.cli.output import logged_bar, note, say
from ddpm.config.options import typed
from ddpm.system.errors import InputError
from ddpm.system.names import PrecisionName
from ddpm.system.units import say_seconds

if TYPE_CHECKING:
    from ddpm.evaluation.guidance import AskGuidance
    from ddpm.evaluation.tune import AskTune
    from ddpm.records.guidance import GuidanceRecord, GuidanceTrial
    from ddpm.records.tuning import TunedRecord


def tune(
    run: Path,
    *,
    guidance: bool = False,
    steps: list[str] | None = None,
    n: Annotated[int | None, Parameter(name=["-n", "--n"])] = None,
    solvers: list[str] | None = None,
    grid: str | None = None,
    guidance_scale: float | None = None,
    seed: int | None = None,
    data: str | None = None,
    lengths: list[str] | None = None,
    precision: PrecisionName | None = None,
    device: str | None = None,
) -> None:
    """Find the solver and noise levels whose few-step samples are closest to the run's many-step samples.

    Or, with --guidance, the guidance whose samples are closest to the real images. The results are kept in the run
    folder; `ddpm sample` uses them by default: the guidance always, the solver and levels for these numbers of steps,
    unless --solver or --grid is given.

    Args:
        run: A run folder.
        guidance: Search for the guidance: its scale, the noise levels to guide at, and whether to guide away from an
            early version of the run, which works without labels too. Tune it before the steps.
        steps: Numbers of steps; 6,8,10 by default. Each step is one network call. With --guidance: the steps of the
            samples; the run's own by default.
        n: The number of samples to tune on; 32 by default, and as many more are drawn to measure the result. With
            --guidance: samples per guidance; 512 by default.
        solvers: Solvers to try, as in dpm++-2m,unipc-3; by default seven with one call per step. With
            --guidance: the one of the samples; the run's own by default.
        grid: With --guidance: the grid of the samples, such as power; the run's own by default.
        guidance_scale: Scale of classifier-free guidance to tune the steps for; that of the run by default.
        seed: The random seed of the samples' noise when tuning the steps; 0 by default.
        data: With --guidance: the real images; the run's data by default.
        lengths: With --guidance: lengths of averages of the weights to compare with the run's own, as in 0.05,0.1;
            0.04,0.07,0.1,0.15,0.2 by default, none to keep the run's own.
        precision: With --guidance: precision of the network.
        device: cpu, cuda or mps; the best available by default.
    """
    from ddpm.evaluation.guidance import AskGuidance
    from ddpm.evaluation.tune import SOLVERS, AskTune
    from ddpm.records.run_folder import RunFolder

    folder = RunFolder.open(run)
    if folder.checkpoint is not None:
        raise InputError("invalid", f"{run} is a checkpoint; use the run folder, whose newest weights are tuned")
    counts, names = integers("--steps", steps, "6,8,10"), words("--solvers", solvers)
    if guidance:
        refuse_flags("the search for guidance", guidance_scale=guidance_scale, seed=seed)
        for flag, values, what in (("--steps", counts, "number"), ("--solvers", names, "name")):
            if len(values) > 1:
                raise InputError(
                    "invalid", f"{flag} takes one {what} with --guidance, not {len(values)}; use {flag} {values[0]}"
                )
        sampling = {
            "steps": counts[0] if counts else None,
            "solver": names[0] if names else None,
            "grid": grid,
            "precision": precision,
        }
        given = {name: value for name, value in sampling.items() if value is not None}
        own = AskGuidance(512 if n is None else n, data, given)
        _guidance(run, own if lengths is None else replace(own, lengths=_lengths(lengths)), device)
    else:
        refuse_flags("tuning of steps; add --guidance", grid=grid, data=data, lengths=lengths, precision=precision)
        scale = {} if guidance_scale is None else {"guidance": guidance_scale}
        counts = sorted(set(counts or [6, 8, 10]))
        _steps(run, AskTune(counts, names or SOLVERS, 32 if n is None else n, seed or 0, sampling=scale), device)


def _lengths(groups: list[str]) -> list[float]:
    """The lengths given to ``--lengths``."""
    found = words("--lengths", groups)
    try:
        return [] if found == ["none"] else [float(word) for word in found]
    except ValueError:
        raise InputError(
            "invalid", f"--lengths expects numbers, such as 0.05,0.1, or none, not {','.join(found)}"
        ) from None


def _guidance(run: Path, ask: "AskGuidance", device: str | None) -> None:
    """Search for guidance, record and print it."""
    from ddpm.engine.loading import load
    from ddpm.evaluation.guidance import tune_guidance
    from ddpm.records.card import adopt
    from ddpm.records.run_folder import RunFolder

    folder, pipe = RunFolder.open(run), load(run, device)
    with logged_bar("guidance", "tuning") as progress:
        found = tune_guidance(pipe, ask, progress)
    adopt(folder, found)
    say(*_trials(found), found.line, f"written       {folder.guidance_file}")
    if (tuned := folder.tuned()) is not None and any(g.sampling.guidance != found.chosen for g in tuned.grids):
        note(f"{folder.tuned_file} was tuned for other guidance and is ignored; re-run `ddpm tune {run}`")
    label = typed({"label": pipe.classes[0]}) if pipe.classes else []
    say(f"next: {shlex.join(['ddpm', 'sample', str(run), '-n', '16', *label])}")


def _trials(record: "GuidanceRecord") -> Iterator[str]:
    """The trials of a search for the terminal."""
    from ddpm.records.guidance import words as guided

    r = record.reference
    yield f"{record.n:,} samples per guidance against {r.images:,} of {r.source}, {record.features.name} features"
    yield from _table("guidance", {guided(trial.guidance): trial for trial in record.trials})
    if record.lengths:
        yield f"averages of the weights at guidance {guided(record.chosen)}"
        yield from _table("length", {"own" if t.length is None else f"{t.length:g}": t for t in record.lengths})


def _table(head: str, trials: Mapping[str, "GuidanceTrial"]) -> Iterator[str]:
    """Trials by name, with the change from the first."""
    wide = max(map(len, (head, *trials)))
    yield f"{head:<{wide}}  {'Fréchet':>7}  change (paired 95 % interval)  precision  recall  coverage"
    for name, t in trials.items():
        change = f"{t.change.value:+.3g} ({t.change.low:+.3g} to {t.change.high:+.3g})"
        shares = f"{t.precision.value:>9.3f}  {t.recall.value:>6.3f}  {t.coverage.value:>8.3f}"
        yield f"{name:<{wide}}  {t.frechet.value:>7.4g}  {change:<30}  {shares}"


def _steps(run: Path, ask: "AskTune", device: str | None) -> None:
    """Tune the solver and levels of few steps, record and print them."""
    from ddpm.engine.loading import load
    from ddpm.evaluation.tune import joined, planned, tune
    from ddpm.records.run_folder import RunFolder

    folder = RunFolder.open(run)
    pipe = load(run, device)
    say(f"tuning        up to {planned(pipe, ask):,} single-image network evaluations")
    began = time.monotonic()
    cost = 0
    with logged_bar("", "tuning") as bar:

        def progress(done: int, total: int, what: str = "", /) -> None:
            nonlocal cost
            cost = done
            bar(done, total, what)

        found = joined(folder, tune(pipe, ask, progress))
    found.write(folder.tuned_file)
    took = say_seconds(time.monotonic() - began)
    say(*_lines(found), f"cost          {cost:,} single-image network evaluations, {took}")
    say(f"written       {folder.tuned_file}", f"next: ddpm sample {run} --steps {ask.steps[-1]}")


def _lines(record: "TunedRecord") -> Iterator[str]:
    """A record for the terminal."""
    yield f"distance from the {record.reference.steps}-step solution, over {record.images} samples not tuned on"
    yield f"{'steps':>5}  {'default':>9}  {'untuned':>7}  {'tuned':>7}  solver, initial grid"
    for found in record.grids:
        yield (
            f"{found.sampling.steps:>5}  {found.usual:>9.4f}  {found.untuned:>7.4f}  {found.tuned:>7.4f}  {found.start}"
        )

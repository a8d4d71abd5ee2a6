"""``ddpm tune``."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ddpm.cli.numbers import integers, words
from ddpm.cli.output import logged_bar, say
from ddpm.system.errors import InputError
from ddpm.system.units import say_seconds

if TYPE_CHECKING:
    from ddpm.records.tuning import TunedRecord


def tune(
    run: Path,
    *,
    steps: list[str] | None = None,
    solvers: list[str] | None = None,
    n: Annotated[int, Parameter(name=["-n", "--n"])] = 32,
    guidance: float | None = None,
    seed: int = 0,
    device: str | None = None,
) -> None:
    """Find the solver and noise levels whose few-step samples are closest to the run's many-step samples.

    The result is kept in the run folder; for these numbers of steps `ddpm sample` uses it by default, unless --solver
    or --grid is given.

    Args:
        run: A run folder.
        steps: Numbers of steps; 6,8,10 by default. Each step is one network call.
        solvers: Solvers to try, as in dpm++-2m,unipc-3; by default all deterministic ones with one call per step.
        n: The number of samples to tune on; as many more are drawn to measure the result.
        guidance: Scale of classifier-free guidance to tune for; the run's own by default.
        seed: The random seed of the samples' noise.
        device: cpu, cuda or mps; the best available by default.
    """
    from ddpm.engine.loading import load
    from ddpm.evaluation.tune import SOLVERS, AskTune, joined, planned, tune
    from ddpm.records.run_folder import RunFolder

    folder = RunFolder.open(run)
    if folder.checkpoint is not None:
        raise InputError("invalid", f"{run} is a checkpoint; use the run folder, whose newest weights are tuned")
    counts = integers("--steps", steps, "6,8,10") or [6, 8, 10]
    sampling = {} if guidance is None else {"guidance": guidance}
    names = words(solvers) or list(SOLVERS)
    ask = AskTune(sorted(set(counts)), names, images=n, seed=seed, sampling=sampling)
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

"""``ddpm tune``."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ddpm.cli.numbers import integers, words

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
    """Find the solver and the levels with which few steps come closest to the run's own many-step samples.

    What is found is kept in the run folder, and `ddpm sample` takes it from then on for as many steps, unless told a
    solver or a grid.

    Parameters
    ----------
    run
        A run folder.
    steps
        Numbers of steps, 6,8,10 by default. Each step is one network call.
    solvers
        Which to choose from, as in dpm++-2m,unipc-3; all that draw no noise and ask once a step by default.
    n
        Samples to make the grids on, and as many more to measure them on.
    guidance
        Scale of classifier-free guidance, the run's own if not given: tuned grids are for one scale.
    seed
        Of the samples' noise.
    device
        cpu, cuda or mps; the best there is by default.
    """
    from ddpm.cli.progress import LoggedBar
    from ddpm.engine.loading import load
    from ddpm.evaluation.tune import SOLVERS, AskTune, joined, planned, tune
    from ddpm.records.run_folder import RunFolder
    from ddpm.system.allocator import keep_freed_memory
    from ddpm.system.console import console
    from ddpm.system.errors import InputError
    from ddpm.system.units import say_seconds

    keep_freed_memory()
    folder = RunFolder.open(run)
    if folder.checkpoint is not None:
        raise InputError(
            "invalid", f"{run} is a checkpoint; tune the run, as its newest weights are those that are sampled"
        )
    counts = integers("--steps", steps, "6,8,10") or [6, 8, 10]
    sampling = {} if guidance is None else {"guidance": guidance}
    names = words(solvers) or list(SOLVERS)
    ask = AskTune(sorted(set(counts)), names, images=n, seed=seed, sampling=sampling)
    pipe = load(run, device)
    console.print(f"tuning        denoises an image at most {planned(pipe, ask):,} times", markup=False)
    began = time.monotonic()
    with LoggedBar("", "tuning") as progress:
        found = joined(folder, tune(pipe, ask, progress))
    found.write(folder.tuned_file)
    for line in lines(found):
        console.print(line, markup=False)
    took = say_seconds(time.monotonic() - began)
    console.print(f"cost          denoised an image {progress.done:,} times, in {took}", markup=False)
    console.print(f"written       {folder.tuned_file}", markup=False)
    console.print(f"next: ddpm sample {run} --steps {ask.steps[-1]}", markup=False)


def lines(record: "TunedRecord") -> Iterator[str]:
    """A record for the terminal."""
    yield f"distance from {record.reference.steps} steps, of {record.images} samples that the grids were not made on"
    yield f"{'steps':>5}  {'as before':>9}  {'untuned':>7}  {'tuned':>7}  solver and its start"
    for found in record.grids:
        yield (
            f"{found.sampling.steps:>5}  {found.usual:>9.4f}  {found.untuned:>7.4f}  {found.tuned:>7.4f}  {found.start}"
        )

"""``ddpm likelihood``."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from ddpm.cli import scores
from ddpm.cli.numbers import integers
from ddpm.cli.output import logged_bar, note, say
from ddpm.system.errors import InputError
from ddpm.system.names import Fit, MethodName

if TYPE_CHECKING:
    from ddpm.records.likelihood import BitsRecord


def likelihood(
    run: Path,
    *,
    data: str | None = None,
    n: Annotated[int | None, Parameter(name=["-n", "--n"])] = None,
    method: MethodName = "bound",
    steps: list[str] | None = None,
    terms: int | None = None,
    variance: Literal["small", "large", "learned"] | None = None,
    start: float | None = None,
    tolerance: float | None = None,
    probes: int | None = None,
    clip: bool | None = None,
    labels: bool = False,
    seed: int = 0,
    batch: int | None = None,
    fit: Fit | None = None,
    skip_bad: bool | None = None,
    device: str | None = None,
) -> None:
    """Measure the likelihood of images under a run, in bits per dimension.

    Re-run the command to resume. Launch it with torchrun to use several processes.

    Args:
        run: A run folder, or one checkpoint in it.
        data: The images; the run's held-out images by default.
        n: The maximum number of images to measure; 1,000 by default.
        method: bound (the variational bound) or ode (the density along the probability-flow ODE).
        steps: For bound: the number of levels; all by default. Several, as in 25,50,100, are measured in turn.
        terms: For bound: the number of KL terms to draw per image; all by default. Fewer are faster, and still
            unbiased.
        variance: For bound: the variance of the reverse steps; the run's own by default.
        start: For ode, in continuous time: the starting time; 1e-5 by default.
        tolerance: For ode: the error tolerance per step; 1e-5 by default.
        probes: For ode: the number of random probes per image; 1 by default.
        clip: Clip the predicted clean image to [-1, 1]; by default on for bound and off for ode.
        labels: Condition on the images' classes.
        seed: The random seed. The noise for image i depends on the seed and i alone.
        batch: The number of images measured at a time, 1 to 50; 50 by default.
        fit: How to resize images of --data of a different aspect ratio; crop by default.
        skip_bad: Skip images of --data that cannot be read.
        device: cpu, cuda or mps; the best available by default.
    """
    from ddpm.evaluation.likelihood import measure_likelihood
    from ddpm.evaluation.options import EvaluationOptions
    from ddpm.records.likelihood import FILE
    from ddpm.report.likelihood import plot

    reading: dict[str, Any] = {name: value for name, value in {"fit": fit, "skip_bad": skip_bad}.items() if value}
    if data is None and reading:
        flag = next(iter(reading)).replace("_", "-")
        raise InputError("conflict", f"--{flag} has no effect without --data; add --data")
    options = EvaluationOptions(data, n, seed, batch, device=device, **reading)
    how = {"terms": terms, "variance": variance, "start": start, "tolerance": tolerance, "probes": probes, "clip": clip}
    done = None
    counts: Sequence[int | None] = integers("--steps", steps, "25,50,100") or [None]
    for count in counts:
        with logged_bar("images") as progress:
            done = measure_likelihood(run, options, progress, method, labels, steps=count, **how)
        if done is None:  # the main process reports
            continue
        record, folder = done
        say(str(run), style="bold")
        say(*_lines(record))
        note(*record.notes)
        if scores.drawable():
            plot(record, folder)
        say(f"record        {folder / FILE}")
    if done is not None:
        scores.report(run)


def _lines(record: "BitsRecord") -> Iterator[str]:
    """A record for the terminal."""
    of = "held-out images" if record.held_out else "images"
    classes = ", conditioned on their classes" if record.labels else ""
    yield f"images        {record.n:,} of {record.data.images:,} {of} of {record.data.source}{classes}"
    how = record.how
    if how.method == "ode":
        yield f"bits per dim  {record.mean:.4f} ± {record.stderr:.4f}, probability-flow ODE"
        start = "level 1" if how.start is None else f"time {how.start:g}"
        calls = f"{record.calls:,.0f} evaluations per batch"
        probes = f"{how.probes} probe" if how.probes == 1 else f"{how.probes} probes"
        yield f"              {calls}, {probes}, tolerance {how.tolerance:g}, from {start}"
        return
    assert how.steps is not None
    drawn = f", {how.terms:,} of {how.steps - 1:,} KL terms per image" if how.terms else ""
    yield (
        f"bits per dim  {record.mean:.4f} ± {record.stderr:.4f}, variational bound, {how.steps:,} steps{drawn}, "
        f"{how.variance} variance"
    )
    yield f"              prior {record.prior:.2g}, KL {record.kl:.4f}, decoder {record.decoder:.4f}"

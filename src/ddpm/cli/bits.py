"""``ddpm evaluate --bits-per-dim``."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddpm.cli.console import console
from ddpm.cli.progress import LoggedBar
from ddpm.evaluation.likelihood import AskBits, measure_bits
from ddpm.system.errors import InputError

if TYPE_CHECKING:
    from ddpm.records.likelihood import BitsRecord


def bits(
    path: Path, is_run: bool, taken: Mapping[str, Any], only_samples: Mapping[str, Any], counts: Sequence[int]
) -> None:
    """Measure a run or a checkpoint, by each of several numbers of steps, and bring its page up to date.

    Args:
        taken: attributes of :class:`AskBits`, None where not given.
        only_samples: options that have no effect here, None where not given.

    Raises:
        InputError: one of them is given, or something asked for cannot be had.
    """
    from ddpm import report
    from ddpm.records.likelihood import FILE
    from ddpm.records.run_folder import RunFolder
    from ddpm.report import likelihood

    if not is_run:
        raise InputError(
            f"--bits-per-dim asks a model, and {path} holds images; give a run folder, or a checkpoint in it"
        )
    if wrong := [name for name, value in only_samples.items() if value is not None]:
        raise InputError(f"--{wrong[0].replace('_', '-')} is of samples, and --bits-per-dim draws none; leave it out")
    for name in ("fit", "skip_bad"):
        if taken["data"] is None and taken[name] is not None:
            raise InputError(f"--{name.replace('_', '-')} is of the images of --data; give them, or leave it out")
    ask = AskBits(**{name: value for name, value in taken.items() if value is not None})
    drawn = all(map(find_spec, ("matplotlib", "jinja2")))
    done = None
    ways: Sequence[int | None] = counts or [None]
    for steps in ways:
        with LoggedBar("images") as progress:
            done = measure_bits(path, replace(ask, steps=steps), progress)
        if done is None:  # another process has it
            continue
        console.print(str(path), markup=False, style="bold")
        for line in lines(done.record):
            console.print(line, markup=False)
        for note in done.record.notes:
            console.print("[yellow]note[/]          ", end="")
            console.print(note, markup=False)
        if drawn:
            likelihood.plot(done.record, done.folder)
        console.print(f"record        {done.folder / FILE}", markup=False)
    if done is not None and drawn:
        console.print(f"report        {report.write(RunFolder.open(path).path)}", markup=False)


def lines(record: "BitsRecord") -> Iterator[str]:
    """A record for the terminal."""
    of = "held-out images" if record.held_out else "images"
    classes = ", their classes told" if record.labels else ""
    yield f"images        {record.n:,} of {record.data.images:,} {of} of {record.data.source}{classes}"
    how = record.how
    if how.method == "ode":
        yield f"bits per dim  {record.mean:.4f} ± {record.stderr:.4f}, along the probability flow"
        start = "level 1" if how.start is None else f"time {how.start:g}"
        probes = f"{how.probes} probe" if how.probes == 1 else f"{how.probes} probes"
        asked = f"{record.calls:,.0f} evaluations a batch, {probes}, tolerance {how.tolerance:g}"
        yield f"              {asked}, from {start}"
        return
    assert how.steps is not None
    drawn = f", {how.terms:,} of {how.steps - 1:,} KL terms an image" if how.terms else ""
    yield (
        f"bits per dim  {record.mean:.4f} ± {record.stderr:.4f}, a bound by {how.steps:,} steps{drawn}, "
        f"{how.variance} variance"
    )
    yield f"              prior {record.prior:.2g}, KL {record.kl:.4f}, decoder {record.decoder:.4f}"

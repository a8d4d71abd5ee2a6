"""Printing scores and writing them."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ddpm.cli.output import note, say
from ddpm.system.errors import InputError

if TYPE_CHECKING:
    from ddpm.records.score import Score


TITLES = {"frechet": "Fréchet", "kid": "KID", "inception_score": "Inception sc."}
"""Names of metrics, where they differ from those in the record."""


def prepare(out: Path | None) -> None:
    """Check that a file can be written, before anything is measured."""
    from ddpm.records.score import FILE
    from ddpm.system.files import disk_errors

    if out is None:
        return
    if out.is_dir():
        raise InputError("invalid", f"--out {out} is a folder; use a file name, as in --out {out / FILE}")
    with disk_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)


def show(score: "Score", what: str) -> None:
    """Print a score under a heading."""
    say(what, style="bold")
    say(*lines(score))
    note(*score.notes)


def keep(score: "Score", pairs: bytes | None, out: Path | None) -> None:
    """Write a score to --out, and the pairs closest to copies next to it."""
    from ddpm.system.files import write_file

    if out is None:
        return
    score.write(out)
    say(f"written       {out}")
    if pairs is not None:
        picture = out.with_name(f"{out.stem}-closest.png")
        write_file(picture, pairs)
        say(f"closest pairs {picture}")


def report(path: Path) -> None:
    """Update a run's report, if its dependencies are installed."""
    if drawable():
        from ddpm import report
        from ddpm.records.run_folder import RunFolder

        say(f"report        {report.write(RunFolder.open(path).path)}")


def drawable() -> bool:
    """Whether the dependencies of charts and reports are installed."""
    return all(map(find_spec, ("matplotlib", "jinja2")))


def lines(score: "Score") -> Iterator[str]:
    """A score for the terminal."""
    m = score.measure
    yield f"samples       {m.n:,} against {m.reference.images:,} of {m.reference.source}, {m.features.name} features"
    floor = "" if score.frechet.floor is None else f"; {m.n:,} real images score {score.frechet.floor:.4g}"
    for name, value in score.headline().items():
        interval = f"{value.value:.4g} ({value.low:.4g} to {value.high:.4g})"
        yield f"{TITLES.get(name, name):<14}{interval}{floor if name == 'frechet' else ''}"
    if score.accuracy is not None:
        right, real = _percent(score.accuracy.value), _percent(score.accuracy.real)
        yield f"{'accuracy':<14}{right} classified as the requested class; real images {real}"
    c = score.colour
    off = ", ".join(f"{a - b:+.3f}" for a, b in zip(c.mean, c.reference_mean, strict=True))
    yield f"{'colour':<14}mean off by {off} (range -1 to 1)"
    if score.memorisation is not None:
        found = score.memorisation
        others = "" if found.held_out is None else f"; {_percent(found.held_out.value)} of held-out images"
        yield (
            f"{'copies':<14}{_percent(found.rate.value)} of samples ({_percent(found.rate.low)} to "
            f"{_percent(found.rate.high)}), among {found.images:,} training images{others}"
        )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"

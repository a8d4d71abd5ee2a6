"""``ddpm evaluate``."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from cyclopts import Parameter

from ddpm.cli.sampling import UNCHANGED, Sampling
from ddpm.system.names import FeaturesName, Fit, MethodName, Mode

if TYPE_CHECKING:
    from ddpm.evaluation.evaluate import Evaluated
    from ddpm.records.score import Score


def evaluate(
    what: str,
    *,
    data: str | None = None,
    training: str | None = None,
    n: Annotated[int | None, Parameter(name=["-n", "--n"])] = None,
    features: Annotated[
        str | None,
        Parameter(help=f"The network that looks: {', '.join(get_args(FeaturesName))}; the first if not given."),
    ] = None,
    weights: str | None = None,
    steps: list[str] | None = None,
    flags: Sampling = UNCHANGED,
    checkpoints: bool = False,
    bits_per_dim: bool = False,
    method: MethodName | None = None,
    terms: int | None = None,
    variance: Literal["small", "large"] | None = None,
    start: float | None = None,
    probes: int | None = None,
    labels: bool = False,
    seed: int | None = None,
    batch: int | None = None,
    augment: float | None = None,
    consistent: bool | None = None,
    size: str | None = None,
    mode: Mode | None = None,
    fit: Fit | None = None,
    skip_bad: bool = False,
    out: Path | None = None,
    device: str | None = None,
) -> None:
    """Measure a run, one checkpoint of it, or a folder of images against real ones; or how likely a run finds images.

    What is drawn stays in the run folder: the command goes on where it was interrupted, and other features or real
    images find the samples there. Start it by torchrun to draw with several processes.

    Parameters
    ----------
    what
        A run folder, a checkpoint in it, or a folder (.zip, .npz) of generated images.
    data
        The real images; by default all of the source that the run was trained on. For --bits-per-dim the images to
        take it of; by default those that the run held out.
    training
        For a folder of images: what its generator was trained on, to look for copies of; the real images by default.
    n
        How many samples to draw; 2,000 if not given. Of images for bits 1,000, if there are so many.
    weights
        Its file (inception), or its folder or name (dinov2, clip); fetched once where not given.
    steps
        Steps of the solver, the run's own where not given; or of the bound, by default all levels. Several, as in
        5,10,20, are measured in turn.
    checkpoints
        Measure the run's earlier checkpoints, too.
    bits_per_dim
        Instead of samples: how many bits the run takes for each value of given images.
    method
        Of the bits: bound (if not given), or ode, the density along the probability flow, whose --tolerance is 1e-5.
    terms
        Of the bound: how many KL terms are drawn for each image, to stand for all; unbiased, and faster.
    variance
        Of the bound: a fixed variance of the reverse steps, small or large, in place of the run's own.
    start, probes
        Of the ode: the time it begins at in continuous time, 1e-5 if not given; random signs an image, 1 if not given.
    labels
        Bits given the images' classes.
    seed
        Sample i, or the noise for image i, is a function of the seed and i alone; 0 if not given.
    batch
        Samples in memory at a time, 1 to 64; 64 if not given. Images for bits: 1 to 50.
    augment, consistent
        Of a run of super-resolution, which is measured beside bicubic interpolation: see `ddpm upscale`.
    size
        Of a folder's images: what all are brought to, 64 or height x width, if they differ.
    mode
        Of a folder's images: what all are brought to, if they differ.
    fit
        For images of another shape; crop if not given.
    skip_bad
        Go on without images that cannot be read.
    out
        Also write the score to this file.
    device
        cpu, cuda or mps; the best there is by default.
    """
    from ddpm.cli.enlarged import enlarged
    from ddpm.cli.progress import LoggedBar
    from ddpm.evaluation.evaluate import Ask, evaluate_folder, evaluate_run
    from ddpm.records.run_folder import RunFolder
    from ddpm.system.allocator import keep_freed_memory
    from ddpm.system.errors import InputError
    from ddpm.system.units import size as parse_size
    from ddpm.training.checkpoint import paths

    keep_freed_memory()
    sampling = flags.given()
    drawing: dict[str, Any] = {
        key: value for key, value in {"n": n, "seed": seed, "batch": batch}.items() if value is not None
    }
    path = Path(what)
    found_run = RunFolder.of(path)
    from_run = found_run is not None
    if not from_run and what != "digits" and not path.exists():
        raise InputError(f"{what} does not exist; give a run folder, a checkpoint in it, or a folder of images")
    if found_run is not None and found_run.config().upscaling is not None:
        given = {**drawing, "data": data, "features": features, "weights": weights, "fit": fit, "device": device}
        given |= {"sampling": sampling | _one(steps), "augment": augment, "consistent": consistent}
        others: dict[str, Any] = {
            "--bits-per-dim": bits_per_dim or None,
            "--checkpoints": checkpoints or None,
            "--labels": labels or None,
            "--start": start,
            "--probes": probes,
        }
        others |= {
            "--training": training,
            "--method": method,
            "--terms": terms,
            "--variance": variance,
            "--size": size,
            "--mode": mode,
        }
        _prepare(out)
        enlarged(path, given | {"skip_bad": skip_bad or None}, others, out)
        return
    if augment is not None or consistent is not None:
        raise InputError("--augment and --consistent are of runs of super-resolution; leave them out")
    if bits_per_dim:
        from ddpm.cli.bits import bits

        only_samples = {**sampling, "training": training, "features": features, "weights": weights, "size": size}
        only_samples |= {"mode": mode, "out": out, "checkpoints": checkpoints or None, "clip": None, "tolerance": None}
        taken: dict[str, Any] = {**drawing, "data": data, "method": method, "terms": terms, "labels": labels or None}
        taken |= {"clip": sampling.get("clip"), "tolerance": sampling.get("tolerance")}
        taken |= {"variance": variance, "start": start, "probes": probes}
        taken |= {"fit": fit, "skip_bad": skip_bad or None, "device": device}
        bits(path, from_run, taken, only_samples, _counts(steps))
        return
    only_bits: dict[str, Any] = {
        "--method": method,
        "--terms": terms,
        "--variance": variance,
        "--labels": labels or None,
    }
    only_bits |= {"--start": start, "--probes": probes}
    if wrong := [name for name, value in only_bits.items() if value is not None]:
        raise InputError(f"{wrong[0]} is of --bits-per-dim; give that, too, or leave it out")
    only_runs = {**sampling, **drawing, "steps": steps, "checkpoints": checkpoints or None}
    _refuse(from_run, {"--size": size, "--mode": mode, "--training": training}, only_runs)

    images: dict[str, Any] = {"data": data, "training": training, "fit": fit or "crop", "skip_bad": skip_bad}
    looking: dict[str, Any] = {"features": features or "embedded", "weights": weights, "device": device}
    ask = Ask(**images, **looking, **drawing, sampling=sampling)
    _prepare(out)
    if not from_run:
        with LoggedBar("sampling") as progress:
            found = evaluate_folder(what, ask, parse_size(size) if size else None, mode, progress)
        _show(found, what)
        _keep(found, out)
        return
    earlier = paths(RunFolder(path).checkpoints)[:-1]  # the last has the run's own weights
    if checkpoints and not earlier:
        raise InputError(f"{what} has no earlier checkpoints; leave --checkpoints, or give a run folder that has some")
    runs = [*(earlier if checkpoints else []), path]
    counts = [{"steps": count} for count in _counts(steps)] or [{}]
    if out is not None and len(runs) * len(counts) > 1:
        raise InputError("--out takes one score, and several were asked for; they are in the run folder")
    done = None
    for run in runs:
        for change in counts:
            with LoggedBar("sampling") as progress:
                done = evaluate_run(run, replace(ask, sampling=sampling | change), progress)
            if done is not None:
                _show(done, str(run))
                _keep(done, out)
    if done is not None:
        _report(path)


def _refuse(from_run: bool, of_folders: dict[str, Any], of_runs: dict[str, Any]) -> None:
    """No option is without effect."""
    from ddpm.system.errors import InputError

    if from_run and (wrong := [name for name, value in of_folders.items() if value is not None]):
        raise InputError(f"{wrong[0]} is for folders of images: a run knows its own")
    if not from_run and (wrong := [name for name, value in of_runs.items() if value is not None]):
        name = "-n" if wrong[0] == "n" else f"--{wrong[0].replace('_', '-')}"
        raise InputError(f"{name} is for runs, and these images are drawn already; give a run folder, or leave it")


def _counts(steps: list[str] | None) -> list[int]:
    from ddpm.system.errors import InputError

    words = [word for group in steps or [] for word in group.split(",")]
    if not all(word.strip().isdecimal() for word in words):
        raise InputError(f"--steps {','.join(words)} are no numbers; write them as 20, or as 5,10,20")
    return [int(word) for word in words]


def _one(steps: list[str] | None) -> dict[str, int]:
    from ddpm.system.errors import InputError

    counts = _counts(steps)
    if len(counts) > 1:
        raise InputError("a run of super-resolution is measured at one number of steps at a time")
    return {"steps": counts[0]} if counts else {}


def _show(found: "Evaluated", what: str) -> None:
    from ddpm.cli.console import console
    from ddpm.records.score import FILE

    console.print(what, markup=False, style="bold")
    for line in lines(found.score):
        console.print(line, markup=False)
    for note in found.score.notes:
        console.print(f"[yellow]note[/]          {note.replace('[', chr(92) + '[')}")
    if found.folder is not None:
        console.print(f"score         {found.folder / FILE}", markup=False)


def lines(score: "Score") -> Iterator[str]:
    """A score for the terminal."""
    m = score.measure
    yield f"samples       {m.n:,} against {m.reference.images:,} of {m.reference.source}, {m.features.name} features"
    floor = "" if score.frechet.floor is None else f"; as many real images: {score.frechet.floor:.4g}"
    for name, title in TITLES.items():
        if (value := getattr(score, name)) is not None:
            interval = f"{value.value:.4g} ({value.low:.4g} to {value.high:.4g})"
            yield f"{title:<14}{interval}{floor if name == 'frechet' else ''}"
    if score.accuracy is not None:
        read, real = _percent(score.accuracy.value), _percent(score.accuracy.real)
        yield f"{'accuracy':<14}{read} read as the class asked for; real images {real}"
    c = score.colour
    off = ", ".join(f"{a - b:+.3f}" for a, b in zip(c.mean, c.reference_mean, strict=True))
    yield f"{'colour':<14}mean off by {off} (of a range of 2)"
    if score.memorisation is not None:
        found = score.memorisation
        others = "" if found.held_out is None else f"; of held-out images {_percent(found.held_out.value)}"
        yield (
            f"{'copies':<14}{_percent(found.rate.value)} ({_percent(found.rate.low)} to {_percent(found.rate.high)}) "
            f"of {found.images:,} training images{others}"
        )


TITLES = {
    "frechet": "Fréchet",
    "kid": "KID",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
    "inception_score": "Inception sc.",
}


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _prepare(out: Path | None) -> None:
    """Refuse a place that cannot be written to before anything is measured."""
    from ddpm.records.score import FILE
    from ddpm.system.errors import InputError
    from ddpm.system.files import disk_errors

    if out is None:
        return
    if out.is_dir():
        raise InputError(f"--out {out} is a folder; give the score a name, as in {out / FILE}")
    with disk_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)


def _keep(found: "Evaluated", out: Path | None) -> None:
    from ddpm.cli.console import console
    from ddpm.system.files import write_file

    if out is None:
        return
    found.score.write(out)
    console.print(f"written       {out}", markup=False)
    if found.closest is not None:
        pairs = out.with_name(f"{out.stem}-closest.png")
        write_file(pairs, found.closest)
        console.print(f"closest pairs {pairs}", markup=False)


def _report(path: Path) -> None:
    """Bring the run's page up to date, where it can be made."""
    from importlib.util import find_spec

    from ddpm import report
    from ddpm.cli.console import console
    from ddpm.records.run_folder import RunFolder

    if all(map(find_spec, ("matplotlib", "jinja2"))):
        console.print(f"report        {report.write(RunFolder.open(path).path)}", markup=False)

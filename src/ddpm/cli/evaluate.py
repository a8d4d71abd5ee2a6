"""``ddpm evaluate``."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

from cyclopts import Parameter

from ddpm.cli import scores
from ddpm.cli.flags import given, refuse_flags
from ddpm.cli.numbers import integers
from ddpm.cli.output import logged_bar, say
from ddpm.cli.sampling import UNCHANGED, Sampling
from ddpm.system.errors import InputError
from ddpm.system.names import FeaturesName, Fit, Mode
from ddpm.system.units import size as parse_size

if TYPE_CHECKING:
    from ddpm.evaluation.options import EvaluationOptions
    from ddpm.records.upscaling import UpscalingScore


def evaluate(
    what: str,
    *,
    data: str | None = None,
    training: str | None = None,
    n: Annotated[int | None, Parameter(name=["-n", "--n"])] = None,
    features: Annotated[
        str | None,
        Parameter(help=f"The feature extractor: {', '.join(get_args(FeaturesName))}; embedded by default."),
    ] = None,
    weights: str | None = None,
    steps: list[str] | None = None,
    flags: Sampling = UNCHANGED,
    checkpoints: bool | None = None,
    seed: int | None = None,
    batch: int | None = None,
    augment: float | None = None,
    consistent: bool | None = None,
    size: str | None = None,
    mode: Mode | None = None,
    fit: Fit | None = None,
    skip_bad: bool | None = None,
    out: Path | None = None,
    device: str | None = None,
) -> None:
    """Score a run, one of its checkpoints, or a folder of images against real images.

    Samples are kept in the run folder: re-run the command to resume, or to score the same samples with other features
    or real images. Launch it with torchrun to sample in several processes.

    Args:
        what: A run folder, a checkpoint in it, or generated images: a folder, a .zip, an .npz, .tar or .parquet files.
        data: The real images; the run's data by default. For a super-resolution run, the large images; its held-out
            images by default.
        training: For a folder of images: the generator's training data, to detect copies of; the real images by
            default.
        n: The number of samples to draw; 2,000 by default. For a super-resolution run, the number of images to enlarge;
            1,000 by default.
        weights: The extractor's file (inception), or its folder or name (dinov2, clip); downloaded once by default.
        steps: The number of solver steps; the run's own by default. Several, as in 5,10,20, are scored in turn.
        checkpoints: Also score the run's earlier checkpoints.
        seed: The random seed; 0 by default. Sample i depends on the seed and i alone.
        batch: The number of samples drawn at a time, 1 to 64; 64 by default.
        augment: For a super-resolution run: see `ddpm upscale`.
        consistent: For a super-resolution run: see `ddpm upscale`.
        size: For a folder of images of different sizes: the size to resize them to, 64 or height x width.
        mode: For a folder of images of different modes: the mode to convert them to.
        fit: How to resize images of a different aspect ratio; crop by default.
        skip_bad: Skip images that cannot be read.
        out: Also write the score to this file.
        device: cpu, cuda or mps; the best available by default.
    """
    from ddpm.evaluation.evaluate import evaluate_folder
    from ddpm.evaluation.options import EvaluationOptions
    from ddpm.records.run_folder import RunFolder
    from ddpm.system.allocator import keep_freed_memory

    keep_freed_memory()
    settings = given(flags)
    path, extractor = Path(what), (features or "embedded", weights)
    options = EvaluationOptions(data, n, seed or 0, batch, fit or "crop", bool(skip_bad), device)
    run = RunFolder.of(path)
    if run is not None and data is None:
        refuse_flags("the run's own images, which are prepared as in training", fit=fit, skip_bad=skip_bad)
    if run is None:
        if what != "digits" and not path.exists():
            raise InputError("missing", f"{what} does not exist; use a run folder, a checkpoint, or a folder of images")
        drawn = {"n": n, "steps": steps, "checkpoints": checkpoints, "seed": seed, "batch": batch}
        upscaled = {"augment": augment, "consistent": consistent}
        refuse_flags("a folder of images", **drawn, **upscaled, **settings)
        wanted = parse_size(size) if size else None
        scores.prepare(out)
        with logged_bar("sampling") as progress:
            score, pairs = evaluate_folder(what, options, progress, training, wanted, mode, *extractor)
        scores.show(score, what)
        scores.keep(score, pairs, out)
    elif run.config().upscaling is not None:
        kind = "a super-resolution run"
        refuse_flags(kind, training=training, checkpoints=checkpoints, size=size, mode=mode)
        _upscaling(path, options, settings, steps, (augment, consistent), extractor, out)
    else:
        kind, upscaled = "a run that is not super-resolution", {"augment": augment, "consistent": consistent}
        refuse_flags(kind, training=training, **upscaled, size=size, mode=mode)
        _run(path, options, settings, steps, bool(checkpoints), extractor, out)


def _run(
    path: Path,
    options: "EvaluationOptions",
    settings: dict[str, Any],
    steps: list[str] | None,
    checkpoints: bool,
    extractor: tuple[str, str | None],
    out: Path | None,
) -> None:
    """Score samples of a run or its checkpoints, at each number of steps, and update the run's report."""
    from ddpm.evaluation.evaluate import evaluate_run
    from ddpm.records.run_folder import RunFolder
    from ddpm.records.score import CLOSEST, FILE
    from ddpm.training.checkpoint import paths

    earlier = paths(RunFolder(path).checkpoints)[:-1]  # the last has the run's own weights
    if checkpoints and not earlier:
        raise InputError(
            "missing", f"{path} has no earlier checkpoints; drop --checkpoints, or use a run folder that has some"
        )
    runs = [*(earlier if checkpoints else []), path]
    ways = [settings | {"steps": count} for count in integers("--steps", steps, "5,10,20")] or [settings]
    if out is not None and (many := len(runs) * len(ways)) > 1:
        raise InputError(
            "conflict", f"--out takes a single score, but there are {many}; drop --out: all are saved in the run folder"
        )
    scores.prepare(out)
    for run in runs:
        for how in ways:
            with logged_bar("sampling") as progress:
                done = evaluate_run(run, options, progress, how, *extractor)
            if done is not None:  # the main process reports
                score, folder = done
                scores.show(score, str(run))
                say(f"score         {folder / FILE}")
                scores.keep(score, (folder / CLOSEST).read_bytes() if score.memorisation else None, out)
    if done is not None:
        scores.report(path)


def _upscaling(
    path: Path,
    options: "EvaluationOptions",
    settings: dict[str, Any],
    steps: list[str] | None,
    enlarging: tuple[float | None, bool | None],
    extractor: tuple[str, str | None],
    out: Path | None,
) -> None:
    """Compare a run's enlargements with bicubic interpolation, print a table and write the score."""
    from ddpm.evaluation.upscaling import evaluate_upscaling
    from ddpm.records.upscaling import FILE

    counts = integers("--steps", steps, "20")
    if len(counts) > 1:
        raise InputError(
            "invalid",
            f"--steps takes one number for a super-resolution run, not {len(counts)}; use --steps {counts[0]}",
        )
    how = settings | ({"steps": counts[0]} if counts else {})
    scores.prepare(out)
    with logged_bar("upscaling") as progress:
        score, folder = evaluate_upscaling(path, options, progress, how, *enlarging, *extractor)
    say(str(path), style="bold")
    say(*_lines(score), f"score         {folder / FILE}")
    if out is not None:
        score.write(out)
        say(f"written       {out}")


def _lines(score: "UpscalingScore") -> Iterator[str]:
    """A score for the terminal, the run next to bicubic interpolation."""
    run, plain = score.run, score.bicubic
    source = score.reference.source
    yield f"images        {score.n:,} of {source}, shrunk and enlarged again; {score.features.name} features"
    yield f"sampling      {score.sampling.words}, augment {score.augment:g}" + (", consistent" * score.consistent)
    yield f"{'':<14}{'run':>10}{'bicubic':>10}"
    yield f"{'PSNR':<14}{run.psnr:>10.2f}{plain.psnr:>10.2f}  dB"
    if run.ssim is not None and plain.ssim is not None:
        yield f"{'SSIM':<14}{run.ssim:>10.3f}{plain.ssim:>10.3f}"
    yield f"{'Fréchet':<14}{run.frechet:>10.4g}{plain.frechet:>10.4g}"
    yield f"{'consistency':<14}{run.consistency:>10.2f}{plain.consistency:>10.2f}  dB"
    for channel, (a, b) in enumerate(zip(run.mean_difference, plain.mean_difference, strict=True)):
        yield f"{f'mean, ch. {channel}':<14}{a:>+10.2f}{b:>+10.2f}  of 255"

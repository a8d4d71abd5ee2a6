"""``ddpm evaluate`` of a super-resolution run."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddpm.cli import scores
from ddpm.cli.numbers import integers
from ddpm.cli.progress import LoggedBar
from ddpm.system.console import console
from ddpm.system.errors import InputError
from ddpm.system.names import Fit

if TYPE_CHECKING:
    from ddpm.records.upscaling import UpscalingScore


def evaluate_upscaling(
    path: Path,
    *,
    data: str | None = None,
    n: int | None = None,
    features: str = "embedded",
    weights: str | None = None,
    steps: list[str] | None = None,
    sampling: Mapping[str, Any] | None = None,
    augment: float | None = None,
    consistent: bool | None = None,
    seed: int = 0,
    batch: int | None = None,
    fit: Fit = "crop",
    skip_bad: bool = False,
    out: Path | None = None,
    device: str | None = None,
) -> None:
    """Compare a run's enlargements with bicubic interpolation, print a table and write the score."""
    from ddpm.evaluation import upscaling
    from ddpm.evaluation.options import EvaluationOptions
    from ddpm.records.upscaling import FILE

    options = EvaluationOptions(data, n, seed, batch, fit, skip_bad, device)
    counts = integers("--steps", steps, "20")
    if len(counts) > 1:
        raise InputError(
            "invalid",
            f"--steps takes one number for a super-resolution run, not {len(counts)}; use --steps {counts[0]}",
        )
    how = {**(sampling or {}), **({"steps": counts[0]} if counts else {})}
    scores.prepare(out)
    with LoggedBar("upscaling") as progress:
        score, folder = upscaling.evaluate_upscaling(
            path, options, progress, how, augment, consistent, features, weights
        )
    console.print(str(path), markup=False, style="bold")
    for line in lines(score):
        console.print(line, markup=False)
    console.print(f"score         {folder / FILE}", markup=False)
    if out is not None:
        score.write(out)
        console.print(f"written       {out}", markup=False)


def lines(score: "UpscalingScore") -> Iterator[str]:
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

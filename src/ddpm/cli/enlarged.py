"""``ddpm evaluate`` of a run of super-resolution."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ddpm.records.upscaling import UpscalingScore


def enlarged(path: Path, given: dict[str, Any], others: dict[str, Any], out: Path | None) -> None:
    """Measure, print a table and write the score.

    Args:
        given: attributes of ``AskEnlarged``; None where not asked for.
        others: what was asked for and has no meaning here, by flag.
    """
    from ddpm.cli.console import console
    from ddpm.cli.progress import LoggedBar
    from ddpm.evaluation.upscaling import AskEnlarged, evaluate_enlarged
    from ddpm.records.upscaling import FILE
    from ddpm.system.errors import InputError

    if wrong := [name for name, value in others.items() if value is not None]:
        raise InputError(f"{wrong[0]} has no meaning for a run of super-resolution; leave it out")
    with LoggedBar("upscaling") as progress:
        score, folder = evaluate_enlarged(
            path, AskEnlarged(**{name: value for name, value in given.items() if value is not None}), progress
        )
    console.print(str(path), markup=False, style="bold")
    for line in lines(score):
        console.print(line, markup=False)
    console.print(f"score         {folder / FILE}", markup=False)
    if out is not None:
        score.write(out)
        console.print(f"written       {out}", markup=False)


def lines(score: "UpscalingScore") -> Iterator[str]:
    """A score for the terminal, the run beside bicubic interpolation."""
    run, plain = score.run, score.bicubic
    source = score.reference.source
    yield f"images        {score.n:,} of {source}, made small and large again; {score.features.name} features"
    yield f"drawn         {score.sampling.words}, augment {score.augment:g}" + (", consistent" * score.consistent)
    yield f"{'':<14}{'run':>10}{'bicubic':>10}"
    yield f"{'PSNR':<14}{run.psnr:>10.2f}{plain.psnr:>10.2f}  dB"
    if run.ssim is not None and plain.ssim is not None:
        yield f"{'SSIM':<14}{run.ssim:>10.3f}{plain.ssim:>10.3f}"
    yield f"{'Fréchet':<14}{run.frechet:>10.4g}{plain.frechet:>10.4g}"
    yield f"{'consistency':<14}{run.consistency:>10.2f}{plain.consistency:>10.2f}  dB"
    for channel, (a, b) in enumerate(zip(run.mean_difference, plain.mean_difference, strict=True)):
        yield f"{f'mean, ch. {channel}':<14}{a:>+10.2f}{b:>+10.2f}  of 255"

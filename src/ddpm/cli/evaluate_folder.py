"""``ddpm evaluate`` of a folder of images."""

from pathlib import Path

from ddpm.cli import scores
from ddpm.cli.progress import LoggedBar
from ddpm.system.names import Fit, Mode


def evaluate_folder(
    source: str,
    *,
    data: str | None = None,
    training: str | None = None,
    features: str = "embedded",
    weights: str | None = None,
    size: str | None = None,
    mode: Mode | None = None,
    fit: Fit = "crop",
    skip_bad: bool = False,
    out: Path | None = None,
    device: str | None = None,
) -> None:
    """Score images that are already generated."""
    from ddpm.evaluation import evaluate
    from ddpm.evaluation.options import EvaluationOptions
    from ddpm.system.units import size as parse_size

    options = EvaluationOptions(data, fit=fit, skip_bad=skip_bad, device=device)
    wanted = parse_size(size) if size else None
    scores.prepare(out)
    with LoggedBar("sampling") as progress:
        score, pairs = evaluate.evaluate_folder(source, options, progress, training, wanted, mode, features, weights)
    scores.show(score, source)
    scores.keep(score, pairs, out)

"""``ddpm evaluate`` of a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ddpm.cli import scores
from ddpm.cli.numbers import integers
from ddpm.cli.progress import LoggedBar
from ddpm.system.console import console
from ddpm.system.errors import InputError
from ddpm.system.names import Fit


def evaluate_run(
    path: Path,
    *,
    data: str | None = None,
    n: int | None = None,
    features: str = "embedded",
    weights: str | None = None,
    steps: list[str] | None = None,
    sampling: Mapping[str, Any] | None = None,
    checkpoints: bool = False,
    seed: int = 0,
    batch: int | None = None,
    fit: Fit = "crop",
    skip_bad: bool = False,
    out: Path | None = None,
    device: str | None = None,
) -> None:
    """Measure samples of a run or a checkpoint, by each of several numbers of steps, and bring its page up to date."""
    from ddpm.evaluation import evaluate
    from ddpm.evaluation.options import EvaluationOptions
    from ddpm.records.run_folder import RunFolder
    from ddpm.records.score import FILE
    from ddpm.training.checkpoint import paths

    options = EvaluationOptions(data, n, seed, batch, fit, skip_bad, device)
    earlier = paths(RunFolder(path).checkpoints)[:-1]  # the last has the run's own weights
    if checkpoints and not earlier:
        raise InputError(
            "missing", f"{path} has no earlier checkpoints; leave --checkpoints, or give a run folder that has some"
        )
    runs = [*(earlier if checkpoints else []), path]
    counts = [{"steps": count} for count in integers("--steps", steps, "5,10,20")] or [{}]
    if out is not None and len(runs) * len(counts) > 1:
        raise InputError("invalid", "--out takes one score, and several were asked for; they are in the run folder")
    scores.prepare(out)
    done = None
    for run in runs:
        for change in counts:
            with LoggedBar("sampling") as progress:
                how = {**(sampling or {}), **change}
                done = evaluate.evaluate_run(run, options, progress, how, features, weights)
            if done is None:  # another process has it
                continue
            score, folder = done
            scores.show(score, str(run))
            console.print(f"score         {folder / FILE}", markup=False)
            pairs = folder / evaluate.CLOSEST
            scores.keep(score, pairs.read_bytes() if score.memorisation else None, out)
    if done is not None:
        scores.report(path)

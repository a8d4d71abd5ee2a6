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
    """Score samples of a run or its checkpoints, at each number of steps, and update the run's report."""
    from ddpm.evaluation import evaluate
    from ddpm.evaluation.options import EvaluationOptions
    from ddpm.records.run_folder import RunFolder
    from ddpm.records.score import FILE
    from ddpm.training.checkpoint import paths

    options = EvaluationOptions(data, n, seed, batch, fit, skip_bad, device)
    earlier = paths(RunFolder(path).checkpoints)[:-1]  # the last has the run's own weights
    if checkpoints and not earlier:
        raise InputError(
            "missing", f"{path} has no earlier checkpoints; drop --checkpoints, or use a run folder that has some"
        )
    runs = [*(earlier if checkpoints else []), path]
    counts = [{"steps": count} for count in integers("--steps", steps, "5,10,20")] or [{}]
    if out is not None and len(runs) * len(counts) > 1:
        raise InputError(
            "conflict",
            f"--out takes one score, not {len(runs) * len(counts)}; drop it: all of them are in the run folder",
        )
    scores.prepare(out)
    done = None
    for run in runs:
        for change in counts:
            with LoggedBar("sampling") as progress:
                how = {**(sampling or {}), **change}
                done = evaluate.evaluate_run(run, options, progress, how, features, weights)
            if done is None:  # the main process reports
                continue
            score, folder = done
            scores.show(score, str(run))
            console.print(f"score         {folder / FILE}", markup=False)
            pairs = folder / evaluate.CLOSEST
            scores.keep(score, pairs.read_bytes() if score.memorisation else None, out)
    if done is not None:
        scores.report(path)

"""The commands that reproduce what a page shows."""

import shlex
from pathlib import Path
from typing import NamedTuple

from ddpm.config.options import flat, typed
from ddpm.config.run import RunConfig
from ddpm.config.sampling import SamplingConfig
from ddpm.report.evaluations import Evaluation


class Command(NamedTuple):
    """A shell command that a page shows, with its purpose."""

    does: str
    argv: tuple[str, ...]

    @property
    def words(self) -> list[str]:
        """The words, quoted for the shell."""
        return [shlex.quote(word) for word in self.argv]

    def __str__(self) -> str:
        return " ".join(self.words)


def train(config: RunConfig, folder: Path) -> Command:
    """The command that the run was started with."""
    return Command("train", ("ddpm", "train", config.data.source, "--out", str(folder), *typed(config.request)))


def sample(config: RunConfig, folder: Path, most: int = 10) -> Command:
    """The command that samples the first classes in turn or, for a super-resolution run, enlarges a picture."""
    if config.upscaling is not None:
        return Command("enlarge a picture", ("ddpm", "upscale", str(folder), "small.png"))
    labels = typed({"label": config.data.classes[:most]})
    return Command("draw samples", ("ddpm", "sample", str(folder), "-n", "16", *labels))


def measure(what: Path) -> str:
    """The shortest command that measures a run or a checkpoint."""
    return shlex.join(("ddpm", "evaluate", str(what)))


def likelihood(what: Path) -> str:
    """The shortest command that measures bits per dimension of a run or a checkpoint."""
    return shlex.join(("ddpm", "likelihood", str(what)))


def evaluate(evaluation: Evaluation, folder: Path) -> Command:
    """The command that repeats an evaluation."""
    measure, samples = evaluation.score.measure, evaluation.score.samples
    what = samples.source if samples.weights is None or _within(samples.source, folder) else str(folder)
    argv = ["ddpm", "evaluate", what, "-n", str(measure.n), "--data", measure.reference.source]
    argv += ["--features", measure.features.name]
    if samples.seed is not None:
        argv += ["--seed", str(samples.seed)]
    if samples.sampling is not None:
        argv += sampling(samples.sampling)
    return Command(f"repeat the evaluation “{evaluation.name}”", tuple(argv))


def sampling(how: SamplingConfig) -> list[str]:
    """The flags for these sampling settings."""
    return typed(flat(how) | {"grid": how.visits})


def _within(path: str, folder: Path) -> bool:
    return Path(path).is_relative_to(folder) and Path(path) != folder

"""The commands that reproduce what a page shows, as words."""

from pathlib import Path

from ddpm.config.options import flat, typed
from ddpm.config.run import IMPORTED, RunConfig
from ddpm.config.sampling import SamplingConfig
from ddpm.records.score import Score


def train(config: RunConfig, folder: Path) -> list[str]:
    """The command that the run was made with."""
    if config.recipe == IMPORTED:
        given = dict(config.request)
        return ["ddpm", "import", str(given.pop("import")), "--out", str(folder), *typed(given)]
    if config.distillation is not None:
        return ["ddpm", "distill", config.distillation.teacher, "--out", str(folder), *typed(config.request)]
    return ["ddpm", "train", config.data.source, "--out", str(folder), *typed(config.request)]


def sample(config: RunConfig, folder: Path, prompt: str | None = None, most: int = 10) -> list[str]:
    """The command that samples a prompt or the first classes in turn or, for super-resolution, enlarges a picture."""
    if config.upscaling is not None:
        return ["ddpm", "upscale", str(folder), "small.png"]
    given = {"label": config.data.classes[:most]} if prompt is None else {"prompt": prompt}
    return ["ddpm", "sample", str(folder), "-n", "16", *typed(given)]


def evaluate(score: Score, folder: Path) -> list[str]:
    """The command that repeats an evaluation."""
    measure, samples = score.measure, score.samples
    source = Path(samples.source)
    own = samples.weights is not None and (source == folder or not source.is_relative_to(folder))
    given = {"data": measure.reference.source, "features": measure.features.name, "seed": samples.seed}
    how = [] if samples.sampling is None else sampling(samples.sampling)
    return ["ddpm", "evaluate", str(folder) if own else samples.source, "-n", str(measure.n), *typed(given), *how]


def sampling(how: SamplingConfig) -> list[str]:
    """The flags for these sampling settings."""
    return typed(flat(how) | {"grid": how.visits})

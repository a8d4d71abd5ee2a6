"""Score a run during training: few samples in few steps, against its training images."""

from dataclasses import dataclass

import numpy as np
import torch

from ddpm.config.run import RunConfig
from ddpm.config.sampling import SamplingConfig
from ddpm.core.model import Model
from ddpm.core.seed import derive
from ddpm.core.stream import Stream
from ddpm.data.dataset import Dataset
from ddpm.engine import Diffusion
from ddpm.evaluation.drawn import SampleRecipe
from ddpm.images.pixels import Pixels
from ddpm.metrics import bootstrap, frechet, kernel
from ddpm.metrics.features import Extractor
from ddpm.metrics.features.extract import extract, extract_once
from ddpm.sampling import rows_of
from ddpm.system.progress import Progress, silent
from ddpm.training.scoring import Scored

REAL = 2000
"""The most real images that the kernel distance compares with: always the same ones."""


@dataclass(frozen=True, eq=False)
class FewSamples:
    """A scorer that draws the same few samples every time.

    The Fréchet distance of so few samples is mostly bias, which is the same for all scores of a run: compare them only
    with each other.

    Attributes:
        engine: the run's engine; its model is not used.
        recipe: how to draw the samples.
        n: the number of samples.
        batch: samples drawn at a time.
        real: the Gaussian fitted to the features of the real images.
        some: (M, D), the features of some real images.
    """

    engine: Diffusion
    recipe: SampleRecipe
    n: int
    batch: int
    extractor: Extractor
    real: frechet.Normal
    some: torch.Tensor

    def __call__(self, model: Model, device: torch.device) -> Scored:
        """Score a model; sampling may use lower precision, but features are extracted in float32."""
        parts = [range(self.n)[i : i + self.batch] for i in range(0, self.n, self.batch)]
        pixels = np.concatenate([self._draw(model, part) for part in parts])
        with torch.autocast(device.type, enabled=False):
            features = extract(self.extractor, Dataset(pixels))
        kid = kernel.estimate(features, self.some, bootstrap.counts(self.n, 1))
        return Scored(frechet.distance(frechet.fit(features), self.real), kid.value, self.n)

    def _draw(self, model: Model, indices: range) -> Pixels:
        """(len(indices), H, W, C) uint8."""
        labels = self.recipe.labels(np.asarray(indices))
        was_training = model.training
        model.eval()
        conditions = {} if labels is None else {"label": torch.tensor(labels)}
        rows = rows_of(self.recipe.seed, indices)
        pixels = self.engine.with_model(model).draw(self.recipe.sampling, rows, conditions)
        model.train(was_training)
        return pixels


def few_samples(
    config: RunConfig, engine: Diffusion, data: Dataset, extractor: Extractor, progress: Progress = silent
) -> FewSamples:
    """Build the scorer of a run.

    Args:
        engine: the run's engine.
        data: its training images.
    """
    assert config.scoring is not None
    proportions: tuple[float, ...] = ()
    if data.labels is not None:
        proportions = tuple((np.bincount(data.labels, minlength=len(data.classes)) / len(data)).tolist())
    theirs = extract_once(extractor, data, progress)
    some = Stream(0, "real", len(theirs)).permutation(len(theirs))[:REAL]
    seed = derive(config.training.seed, "scores")  # not the seed of previews or evaluations
    return FewSamples(
        engine,
        SampleRecipe("", SamplingConfig(steps=config.scoring.steps, grid="trailing"), seed, proportions),
        config.scoring.samples,
        config.training.micro_batch,  # fits in memory with gradients, so also without
        extractor,
        frechet.fit(theirs),
        theirs[some],
    )

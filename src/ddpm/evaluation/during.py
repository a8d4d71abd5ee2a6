"""Score a run during training: few samples in few steps, against its training images."""

import numpy as np
import torch

from ddpm.config.run import RunConfig
from ddpm.config.sampling import SamplingConfig
from ddpm.core.model import Model
from ddpm.core.seed import derive
from ddpm.core.stream import Stream
from ddpm.data.dataset import Dataset, EncodeCaptions
from ddpm.engine import Diffusion
from ddpm.evaluation.drawn import SampleRecipe, captions_by_class
from ddpm.evaluation.reference import MOST
from ddpm.images.pixels import Pixels
from ddpm.metrics import frechet, kernel
from ddpm.metrics.estimate import resamples
from ddpm.metrics.features import Extractor
from ddpm.metrics.features.extract import extract, extract_once
from ddpm.sampling import rows_of
from ddpm.system.progress import Progress, silent
from ddpm.training.scoring import Scored, Scorer

REAL = 2000
"""The most real images that the kernel distance compares with: always the same ones."""


def few_samples(
    config: RunConfig, engine: Diffusion, data: Dataset, extractor: Extractor, progress: Progress = silent
) -> Scorer:
    """Make the scorer of a run, which draws the same few samples every time.

    The Fréchet distance of so few samples is mostly bias, which is the same for all scores of a run: compare them only
    with each other.

    Args:
        engine: the run's engine; its model is not used.
        data: its training images.
    """
    assert config.scoring is not None
    n, batch = config.scoring.samples, config.training.micro_batch  # fits in memory with gradients, so also without
    proportions: tuple[float, ...] = ()
    if data.labels is not None:
        proportions = tuple((data.class_counts() / len(data)).tolist())
    seed = derive(config.training.seed, "scores")  # not the seed of previews or evaluations
    how = config.sampling
    if config.distillation is None:
        how = SamplingConfig(steps=config.scoring.steps, grid="trailing", clip=config.sampling.clip)
    # which the data's encoder reads as they are
    captions = () if data.encode is None else captions_by_class(data, data.classes)
    recipe = SampleRecipe("", how, seed, proportions, captions)
    theirs = extract_once(extractor, data.sample(MOST), progress)
    normal, some = frechet.fit(theirs), theirs[Stream(0, "real", len(theirs)).permutation(len(theirs))[:REAL]]

    def score(model: Model, device: torch.device) -> Scored:
        parts = [range(n)[i : i + batch] for i in range(0, n, batch)]
        pixels = np.concatenate([_drawn(engine.with_model(model), recipe, part, data.encode) for part in parts])
        # sampling may use lower precision, but features are extracted in float32
        with torch.autocast(device.type, enabled=False):
            features = extract(extractor, Dataset(pixels))
        kid = kernel.estimate(features, some, resamples(n, 1))
        return Scored(frechet.distance(frechet.fit(features), normal), kid.value, n)

    return score


def _drawn(engine: Diffusion, recipe: SampleRecipe, indices: range, encode: EncodeCaptions | None) -> Pixels:
    """(len(indices), H, W, C) uint8."""
    subjects, was_training = recipe.subjects(np.asarray(indices)), engine.model.training
    engine.model.eval()
    conditions = {} if subjects.labels is None else {"label": torch.tensor(subjects.labels)}
    if encode is not None and subjects.prompts is not None:
        conditions["caption"] = torch.from_numpy(encode(subjects.prompts))
    pixels = engine.draw(recipe.sampling, rows_of(recipe.seed, indices), conditions)
    engine.model.train(was_training)
    return pixels

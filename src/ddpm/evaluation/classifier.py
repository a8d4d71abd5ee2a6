"""The accuracy of a classifier by noise level."""

from collections.abc import Iterator
from dataclasses import replace

import torch

from ddpm import build
from ddpm.core import Level
from ddpm.data.dataset import Dataset
from ddpm.engine.classifier import Classifier
from ddpm.objectives.classification import correct
from ddpm.training.heldout import HeldOut


def by_level(classifier: Classifier, images: Dataset, device: torch.device) -> Iterator[tuple[int, Level, float]]:
    """Measure the share of images classified correctly at evenly spaced levels; without images, yield nothing.

    Yields:
        The level's timestep in the schedule, the level, and the share.
    """
    config = classifier.config
    objective = replace(build.build_classification(config), measure=correct)
    held_out = HeldOut(images, objective, config.training.seed, len(images), batch=config.training.micro_batch)
    for timestep, share in held_out.losses(classifier.model, device).items():
        yield timestep, objective.noise.schedule.level(timestep), share

"""How often a classifier is right, by noise."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import torch

from ddpm import build
from ddpm.core import Level
from ddpm.data.dataset import Dataset
from ddpm.engine.classifier import Classifier
from ddpm.objectives.classification import correct
from ddpm.training.heldout import HeldOut


class Reading(NamedTuple):
    """What a classifier makes of noised images.

    Attributes:
        place: the level's, in the schedule.
        level: how noisy they are.
        accuracy: share of them that it reads right.
    """

    place: int
    level: Level
    accuracy: float


def by_level(classifier: Classifier, images: Dataset, device: torch.device) -> Iterator[Reading]:
    """The share of the images that are read right, at levels spread evenly; nothing where there are none."""
    config = classifier.config
    objective = replace(build.build_classification(config), measure=correct)
    seen = HeldOut(images, objective, config.training.seed, limit=len(images))
    for place, share in seen.losses(classifier.model, device).items():
        yield Reading(place, objective.noise.schedule.level(place), share)

"""The learning rate as a function of progress."""

import math

from ddpm.config.training import TrainSettings


def learning_rate(settings: TrainSettings, step: int) -> float:
    """Return the rate of optimiser step ``step``, 0 … steps - 1: linear warm-up, plateau, cosine decay to 0.

    It depends only on the number of images seen, not on how a batch is split.
    """
    seen = (step + 0.5) * settings.batch
    total = settings.steps * settings.batch
    up = min(1.0, seen / settings.warmup) if settings.warmup else 1.0
    left = (total - seen) / (settings.decay * total) if settings.decay else 1.0
    down = 0.5 * (1 - math.cos(math.pi * min(1.0, left)))
    return settings.learning_rate * up * down

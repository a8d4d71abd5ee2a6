"""How a run is trained: numbers only, resolved before the first step."""

import math
from dataclasses import dataclass
from typing import Annotated

from ddpm.config.options import Flag
from ddpm.system.names import PrecisionName


@dataclass(frozen=True)
class TrainSettings:
    """All that decides the weights of a run, next to its data, model and objective, and how it is kept.

    Amounts of training are counted in images seen, so that they mean the same at every batch size.

    Attributes:
        images: images to see in all.
        batch: images an optimiser step, over all processes and micro-batches.
        micro_batch: images a forward pass of one process; changes memory, not results.
        learning_rate: its peak.
        warmup: images over which the learning rate rises from 0 in a line.
        decay: share of the run, at its end, over which the rate falls to 0 along half a cosine.
        weight_decay, betas: AdamW's.
        clip: largest norm of the gradient.
        ema: cap of the moving average's decay.
        label_dropout: share of labels hidden, for classifier-free guidance.
        precision: of the network's arithmetic; weights are float32 always.
        seed: of everything random.
        flip: mirror half of the images left to right.
        workers: processes that read images; 0 reads between steps.
        checkpoint_every: images between checkpoints.
        keep: checkpoints kept.
        previews: number of previews after the one at the start, ever denser towards it.
        log_every: images between lines of the log.
        patience: steps in a row with a non-finite loss or gradient after which the run stops.
    """

    images: int
    batch: Annotated[int, Flag("Images an optimiser step, over all processes.")] = 128
    micro_batch: Annotated[int, Flag("Images a forward pass; as many as fit the memory by default.")] = 128
    learning_rate: Annotated[float, Flag("Peak learning rate.", name="lr")] = 2e-4
    warmup: int = 10_000
    decay: float = 0.8
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.99)
    clip: float = 1.0
    ema: float = 0.9999
    label_dropout: float = 0.1
    precision: PrecisionName = "fp32"
    seed: Annotated[int, Flag("Of everything random.")] = 0
    flip: Annotated[bool, Flag("Mirror half of the images left to right.")] = False
    workers: Annotated[int, Flag("Threads that read images ahead; 0 reads between steps.")] = 0
    checkpoint_every: int = 100_000
    keep: int = 2
    previews: int = 5
    log_every: int = 5_000
    patience: int = 20

    def __post_init__(self) -> None:
        for name in ("images", "batch", "micro_batch", "checkpoint_every", "keep", "log_every", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("label_dropout", "decay", "ema"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be between 0 and 1, not {getattr(self, name)}")
        for name in ("learning_rate", "clip"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be above 0 and finite, not {getattr(self, name)}")
        for name in ("warmup", "workers", "previews", "weight_decay"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be at least 0 and finite, not {getattr(self, name)}")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas must be at least 0 and below 1, not {self.betas}")

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole run."""
        return -(-self.images // self.batch)

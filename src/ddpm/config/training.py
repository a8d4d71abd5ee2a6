"""Training settings, resolved to numbers before the first step."""

import math
from dataclasses import dataclass
from typing import Annotated

from ddpm.config.options import Flag
from ddpm.system.names import OptimizerName, PrecisionName
from ddpm.system.record import at_most

MOST_AT_ONCE = 1_000_000
"""The most images of a step."""
SHORTEST, LONGEST = 0.04, 0.2
"""The lengths of averages of the weights that 16 saved pairs reconstruct well."""


@dataclass(frozen=True)
class TrainSettings:
    """The settings that, with data, model and objective, determine the weights of a run, and how it is saved.

    Amounts of training are counted in images seen, so they mean the same at every batch size.

    Attributes:
        images: The total number of images to see; 0 for a model that another program trained.
        batch: The images per optimiser step, over all processes and micro-batches.
        micro_batch: The images per forward pass of one process; changes memory and what dropout drops.
        learning_rate: The peak learning rate.
        warmup: The images over which the learning rate rises linearly from 0.
        decay: The final proportion of the run over which the learning rate falls to 0 along half a cosine.
        optimizer: The optimiser; "muon" orthogonalises the updates of matrices, and uses AdamW for the rest.
        weight_decay, betas: The parameters of AdamW; Muon's weight decay is the same.
        clip: The largest norm of the gradient.
        ema: The upper limit of the moving average's decay.
        averages: How often the averages are saved from which `ddpm average` makes one of any length; 0 for never.
        label_dropout: The proportion of images that lose their label and caption, for classifier-free guidance; 0 drops
            nothing.
        shard: Whether several processes divide the weights, moments and averages, so that each needs less memory.
        precision: The precision of the network; weights are always float32.
        seed: The seed of all randomness.
        flip: Whether to mirror half of the images left to right.
        workers: The number of threads that read images; 0 reads between steps.
        checkpoint_every: The images between checkpoints.
        keep: The number of checkpoints to keep.
        previews: The number of previews after the initial one, denser towards the start.
        log_every: The images between lines of the log.
        patience: The consecutive steps with a non-finite loss or gradient after which the run stops.
    """

    images: Annotated[int, at_most(2**53)]
    batch: Annotated[int, at_most(MOST_AT_ONCE), Flag("Images per optimiser step, over all processes.")] = 128
    micro_batch: Annotated[
        int, at_most(MOST_AT_ONCE), Flag("Images per forward pass; by default, as many as fit in memory.")
    ] = 128
    learning_rate: Annotated[float, Flag("Peak learning rate.", name="lr")] = 2e-4
    warmup: int = 10_000
    decay: float = 0.8
    optimizer: Annotated[OptimizerName, Flag("Optimiser of the weights.")] = "adamw"
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.99)
    clip: float = 1.0
    ema: float = 0.9999
    averages: Annotated[int, at_most(100_000)] = 16
    label_dropout: float = 0.1
    shard: Annotated[bool, Flag("Divide weights and optimiser state among the processes, to save memory.")] = False
    precision: PrecisionName = "fp32"
    seed: Annotated[int, Flag("Seed of all randomness.")] = 0
    flip: Annotated[bool, Flag("Mirror half of the images left to right.")] = False
    workers: Annotated[int, at_most(1024), Flag("Threads that prefetch images; 0 reads between steps.")] = 0
    checkpoint_every: int = 100_000
    keep: Annotated[int, at_most(2**31)] = 2
    previews: Annotated[int, at_most(64)] = 5
    log_every: int = 5_000
    patience: int = 20

    def __post_init__(self) -> None:
        for name in ("batch", "micro_batch", "checkpoint_every", "keep", "log_every", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("label_dropout", "decay", "ema"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be between 0 and 1, not {getattr(self, name)}")
        for name in ("learning_rate", "clip"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be above 0 and finite, not {getattr(self, name)}")
        for name in ("images", "warmup", "workers", "previews", "averages", "weight_decay"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be at least 0 and finite, not {getattr(self, name)}")
        if self.shard and self.precision == "fp16":
            raise ValueError("shard requires the precision bf16 or fp32, not fp16")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas must be at least 0 and below 1, not {self.betas}")

    @property
    def steps(self) -> int:
        """The number of optimiser steps in the whole run."""
        return -(-self.images // self.batch)

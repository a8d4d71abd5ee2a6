"""Batches in their order, from any step on."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

import numpy as np
import torch

from ddpm.data.dataset import Dataset
from ddpm.data.order import flipped, step_indices
from ddpm.data.prefetch import ahead


class Batch(NamedTuple):
    """This process's part of one step.

    Attributes:
        images: (b, H, W, C) uint8.
        labels: (b,) int64, or None.
        indices: (b,) int64, the images' numbers in the data set.
        low: (b, h, w, C) uint8, their small versions, or None.
    """

    images: torch.Tensor
    labels: torch.Tensor | None
    indices: torch.Tensor
    low: torch.Tensor | None = None


@dataclass(frozen=True, eq=False)
class Steps:
    """What one process reads for each step: ``steps[i]`` is a function, whenever it is asked.

    Attributes:
        batch: images of a step over all processes.
        flip: mirror each image left to right, or not, anew in each epoch.
        rank, world: this process's number, and how many there are; their parts differ by one image at the most.
    """

    dataset: Dataset
    batch: int
    seed: int
    flip: bool = False
    rank: int = 0
    world: int = 1

    def __getitem__(self, step: int) -> Batch:
        epochs, indices = step_indices(self.seed, step, self.batch, len(self.dataset))
        mine = slice(self.rank * self.batch // self.world, (self.rank + 1) * self.batch // self.world)
        epochs, indices = epochs[mine], indices[mine]
        images, low = self.dataset.read(indices), None
        if self.dataset.low is not None:
            low = self.dataset.low.read(indices)
        if self.flip:
            mirrored = flipped(self.seed, epochs, indices)
            for pixels in (images,) if low is None else (images, low):
                # Taken by number, since to copy a view that runs backwards is four times as slow.
                pixels[mirrored] = pixels[mirrored].take(np.arange(pixels.shape[2])[::-1], axis=2)
        labels = self.dataset.labels
        return Batch(
            torch.from_numpy(images),
            None if labels is None else torch.from_numpy(labels[indices]),
            torch.from_numpy(indices),
            None if low is None else torch.from_numpy(low),
        )


class Batches:
    """The endless run of steps from a given one on, read ahead by ``workers`` threads, or in place if 0.

    Threads are enough: to read and copy mapped pixels leaves Python free meanwhile.

    Attributes:
        waited: seconds that the caller has spent waiting for data.
    """

    def __init__(self, steps: Steps, start: int = 0, workers: int = 1) -> None:
        self.steps, self.start, self.workers = steps, start, workers
        self.waited = 0.0

    def __iter__(self) -> Iterator[Batch]:
        batches = self._read_ahead() if self.workers else map(self.steps.__getitem__, count(self.start))
        while True:
            began = time.perf_counter()
            batch = next(batches)
            self.waited += time.perf_counter() - began
            yield batch

    def _read_ahead(self) -> Iterator[Batch]:
        with ThreadPoolExecutor(self.workers) as pool:
            yield from ahead(pool, self.steps.__getitem__, count(self.start), 2 * self.workers)

"""Batches in their order, from any step on."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from ddpm.data.dataset import Dataset, Ints
from ddpm.data.order import flipped, step_indices
from ddpm.data.prefetch import prefetch


class Batch(NamedTuple):
    """Some images and what they are conditioned on.

    Attributes:
        images: (b, H, W, C) uint8.
        conditions: raw, by kind: "label" (b,) int64, "low_resolution" (b, h, w, C) uint8.
        indices: (b,) int64, the images' numbers in the data set.
    """

    images: torch.Tensor
    conditions: dict[str, torch.Tensor]
    indices: torch.Tensor


def batch_of(dataset: Dataset, indices: Ints, mirrored: npt.NDArray[np.bool_] | None = None) -> Batch:
    """The images of these numbers in 0 … N - 1, some of them mirrored left to right, with their conditions."""
    images = dataset.read(indices)
    partners = {kind: partner.read(indices) for kind, partner in dataset.partners.items()}
    if mirrored is not None:
        for pixels in (images, *partners.values()):
            # taken by number, since to copy a view that runs backwards is four times as slow
            pixels[mirrored] = pixels[mirrored].take(np.arange(pixels.shape[2])[::-1], axis=2)
    names = [dataset.names[i] for i in indices] if dataset.names else []
    raw: dict[str, npt.NDArray[Any]] = partners | {kind: make(images, names) for kind, make in dataset.derived.items()}
    if dataset.labels is not None:
        raw["label"] = dataset.labels[indices]
    conditions = {kind: torch.from_numpy(np.ascontiguousarray(values)) for kind, values in raw.items()}
    return Batch(torch.from_numpy(images), conditions, torch.from_numpy(indices))


@dataclass(frozen=True, eq=False)
class Steps:
    """What one process reads for each step: ``steps[i]`` is a function, whenever it is called.

    Attributes:
        batch: images of a step over all processes.
        flip: mirror each image left to right, or not, anew in each epoch.
        rank, world: this process's number, and how many there are; their parts differ by one image at most.
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
        return batch_of(self.dataset, indices, flipped(self.seed, epochs, indices) if self.flip else None)


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
            yield from prefetch(pool, self.steps.__getitem__, count(self.start), 2 * self.workers)

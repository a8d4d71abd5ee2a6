"""Batches in order, starting from any step."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from ddpm.data.columns import Ints
from ddpm.data.dataset import Dataset
from ddpm.data.latents import taken
from ddpm.data.order import flipped, step_indices, variants
from ddpm.data.prefetch import prefetch


class Batch(NamedTuple):
    """A batch of images and their conditions.

    Attributes:
        images: (b, H, W, C) uint8; or the moments of their latents, (b, 2 C', h, w), if the data set has these.
        conditions: The raw conditions by kind: "label" (b,) int64, "low_resolution" (b, h, w, C) uint8,
            "caption" as the data set encodes it.
        indices: (b,) int64, the images' indices in the data set.
    """

    images: torch.Tensor
    conditions: dict[str, torch.Tensor]
    indices: torch.Tensor


def batch_of(
    dataset: Dataset,
    indices: Ints,
    mirrored: npt.NDArray[np.bool_] | None = None,
    draws: npt.NDArray[np.uint64] | None = None,
) -> Batch:
    """The images at these indices in 0 … N - 1 with their conditions.

    Args:
        mirrored: (b,) whether to mirror each image left to right; None mirrors none.
        draws: (b,) random bits that choose among the captions of each image; None chooses the first.
    """
    assert dataset.latents is None or not dataset.derived, "conditions are derived from pixels"
    if dataset.latents is None:
        images, indices = dataset.take(indices)
    else:
        images, indices = taken(dataset, dataset.latents, indices, mirrored)
    partners = {kind: partner.read_exactly(indices) for kind, partner in dataset.partners.items()}
    if mirrored is not None:
        for pixels in (*([images] if dataset.latents is None else []), *partners.values()):
            # take by index: copying a reversed view is four times as slow
            pixels[mirrored] = pixels[mirrored].take(np.arange(pixels.shape[2])[::-1], axis=2)
    names = [dataset.names[i] for i in indices] if dataset.derived and dataset.names else []
    raw: dict[str, npt.NDArray[Any]] = partners | {kind: make(images, names) for kind, make in dataset.derived.items()}
    if dataset.labels is not None:
        raw["label"] = dataset.labels[indices]
    if dataset.captions is not None and dataset.encode is not None:
        raw["caption"] = dataset.encode(_chosen([dataset.captions[i] for i in indices], draws))
    conditions = {kind: torch.from_numpy(np.ascontiguousarray(values)) for kind, values in raw.items()}
    return Batch(torch.from_numpy(images), conditions, torch.from_numpy(indices))


def _chosen(captions: Sequence[str], draws: npt.NDArray[np.uint64] | None) -> list[str]:
    """One caption of each image, out of the lines of its string."""
    several = [caption.split("\n") for caption in captions]
    numbers = [0] * len(several) if draws is None else draws.tolist()
    return [lines[number % len(lines)] for lines, number in zip(several, numbers, strict=True)]


@dataclass(frozen=True, eq=False)
class Steps:
    """The batches of one process: ``steps[i]`` depends only on i, whatever was read before.

    Attributes:
        batch: The images per step over all processes.
        flip: Whether to mirror images left to right at random in each epoch.
        rank, world: The rank of this process, and the number of processes; their parts differ by at most one image.
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
        mirrored = flipped(self.seed, epochs, indices) if self.flip else None
        return batch_of(self.dataset, indices, mirrored, variants(self.seed, epochs, indices))


class Batches:
    """An endless iterator over steps from a given one on, prefetched by ``workers`` threads, or read in place if 0.

    Threads suffice: reading and copying mapped pixels releases the GIL.

    Attributes:
        waited: The seconds that the caller has spent waiting for data.
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

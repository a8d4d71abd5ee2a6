"""Samples of a run on disk: drawn in any order by any number of processes, and never twice."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np

from ddpm.config.sampling import SamplingConfig
from ddpm.data.dataset import Ints
from ddpm.engine.run import LoadedRun
from ddpm.evaluation.shards import Shards
from ddpm.images.pixels import Pixels
from ddpm.system.progress import Progress, part_of

SHARD = 64
"""Images a file; a number that never changes, so that files mean the same whatever the batch."""
RULE = 2
"""Raised whenever the same recipe would make other samples: files of before are then left alone."""


@dataclass(frozen=True)
class SampleRecipe:
    """All that decides the pixels of sample i.

    Attributes:
        sampling: the settings, with nothing left to a default.
        proportions: of each class among the samples; empty for samples without labels.
    """

    weights: str
    sampling: SamplingConfig
    seed: int
    proportions: tuple[float, ...] = ()

    @property
    def key(self) -> str:
        """A name that differs where the samples do."""
        how = self.sampling.model_dump_json(exclude_none=True)  # so that an option that is new renames nothing
        text = f"{RULE} {self.weights} {how} {self.seed} {self.proportions}"
        return sha256(text.encode()).hexdigest()[:12]

    def labels(self, indices: Ints) -> list[int] | None:
        """The class of each sample; the first n samples have the classes in their shares for every n, to one image."""
        if not self.proportions:
            return None
        upto = 1 << int(np.max(indices)).bit_length()  # a power of two, as what is dealt is remembered
        found: list[int] = _dealt(self.proportions, upto)[indices].tolist()
        return found


@lru_cache(maxsize=4)
def _dealt(proportions: tuple[float, ...], n: int) -> Ints:
    """The classes of the first n samples, (n,), by the quota method (Balinski & Young 1975).

    Next is the class with the largest share for each image that it would then have, of those that the image brings no
    higher than their share, rounded up. So no class is ever a whole image off.
    """
    share = np.array(proportions) / sum(proportions)
    order, held = np.empty(n, np.int64), np.zeros(len(share))
    for i in range(n):
        order[i] = np.argmax(np.where(held < share * (i + 1), share / (held + 1), -1))
        held[order[i]] += 1
    return order


@dataclass(frozen=True)
class SampleStore:
    """The first n samples of a recipe, in files of 64 under ``folder``.

    Attributes:
        shape: (H, W, C) of one.
    """

    folder: Path
    n: int
    shape: tuple[int, int, int]

    def __len__(self) -> int:
        return self.n

    @property
    def shards(self) -> Shards[Pixels]:
        """The files, all of them of 64 samples, whatever n."""
        return Shards(self.folder, self.n, SHARD, "{k:06d}.npy", self._load, full=True)

    def missing(self) -> list[int]:
        """Numbers of the files that are still to be drawn, or again because they are damaged."""
        return self.shards.missing()

    def read(self, indices: Ints) -> Pixels:
        """The samples of these numbers, (b, H, W, C)."""
        out = np.empty((len(indices), *self.shape), np.uint8)
        files = np.asarray(indices) // SHARD
        for k in np.unique(files):
            here = files == k
            out[here] = self.shards.read(int(k))[np.asarray(indices)[here] % SHARD]
        return out

    def draw(
        self, loaded: LoadedRun, recipe: SampleRecipe, numbers: list[int], batch: int, progress: Progress
    ) -> Iterator[int]:
        """Draw these files, and yield the number of each when it is whole on disk.

        Args:
            batch: images in memory at a time, up to 64.
            progress: called with (network steps done, in all).
        """
        parts = -(-SHARD // batch)
        steps = recipe.sampling.steps
        for done, k in enumerate(numbers):
            indices = np.asarray(self.shards.images(k))
            pixels = []
            for j in range(parts):
                part = indices[j * batch : (j + 1) * batch]
                report = part_of(progress, (done * parts + j) * steps, len(numbers) * parts * steps)
                pixels.append(loaded.draw(recipe.sampling, recipe.labels(part), recipe.seed, part.tolist(), report))
            file = BytesIO()
            np.save(file, np.concatenate(pixels))
            self.shards.write(k, file.getvalue())
            yield k

    def _load(self, path: Path, images: range) -> Pixels | None:
        try:
            file = np.lib.format.open_memmap(path, mode="r")
        except (OSError, ValueError):
            return None
        return file if file.dtype == np.uint8 and file.shape == (len(images), *self.shape) else None

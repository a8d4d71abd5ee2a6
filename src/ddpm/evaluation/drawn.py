"""Samples of a run on disk: drawn in any order by any number of processes, and never twice."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np

from ddpm.config.sampling import SamplingConfig
from ddpm.core.stream import Stream
from ddpm.data.columns import Ints
from ddpm.data.dataset import Dataset
from ddpm.engine.run import LoadedRun
from ddpm.engine.subjects import Subjects
from ddpm.evaluation.shards import Shards
from ddpm.images.pixels import Pixels
from ddpm.system.names import listed
from ddpm.system.progress import Progress, part_of
from ddpm.text.weighting import escape

SHARD = 64
"""Images per file; fixed, so that files do not depend on the batch size."""
MOST = 10_000
"""Maximum prompts of a recipe."""
CAPTIONS = 2**17
"""Maximum images, evenly spread, whose captions are among those that prompts are drawn from."""
RULE = 2
"""Incremented whenever the same recipe would give other samples, so that older files are ignored."""


@dataclass(frozen=True)
class SampleRecipe:
    """Everything that determines the pixels of sample i.

    Attributes:
        sampling: the settings, with all defaults filled in.
        proportions: the share of each class among the samples; empty without labels.
        prompts: the prompts of the samples of each class, or of all samples without labels, in turn; empty without
            prompts.
    """

    weights: str
    sampling: SamplingConfig
    seed: int
    proportions: tuple[float, ...] = ()
    prompts: tuple[tuple[str, ...], ...] = ()

    @property
    def key(self) -> str:
        """A folder name that differs if the samples do."""
        how = self.sampling.model_dump_json(exclude_none=True)  # so that a new option changes no key
        prompts = f" {self.prompts}" if self.prompts else ""  # so that other recipes keep their keys
        text = f"{RULE} {self.weights} {how} {self.seed} {self.proportions}{prompts}"
        return sha256(text.encode()).hexdigest()[:12]

    def labels(self, indices: Ints) -> list[int] | None:
        """The class of each sample; for every n, the first n samples match the proportions to within one image."""
        return _dealt(self.proportions, indices)[0] if self.proportions else None

    def subjects(self, indices: Ints) -> Subjects:
        """The labels and the prompts of samples, so that each has a prompt of its class, or "" if there is none."""
        labels, turns = _dealt(self.proportions, indices) if self.proportions else (None, indices.tolist())
        prompts = None
        if self.prompts:
            of_each = [self.prompts[label] for label in labels or [0] * len(turns)]
            prompts = tuple(one[turn % len(one)] if one else "" for one, turn in zip(of_each, turns, strict=True))
        return Subjects(None if labels is None else tuple(labels), prompts)


def _dealt(proportions: tuple[float, ...], indices: Ints) -> tuple[list[int], list[int]]:
    """The class of samples, and the number of earlier ones of the same class."""
    upto = 1 << int(np.max(indices)).bit_length()  # a power of two, as they are cached
    classes, turns = _first(proportions, upto)
    return classes[indices].tolist(), turns[indices].tolist()


@lru_cache(maxsize=4)
def _first(proportions: tuple[float, ...], n: int) -> tuple[Ints, Ints]:
    """Assign classes to the first n samples, (n,), by the quota method (Balinski & Young 1975), and count them, (n,).

    Each image goes to the class with the largest ratio of its share to the images it would then have, among the classes
    that would not exceed their share, rounded up. So no class is ever off by a whole image.
    """
    share = np.array(proportions) / sum(proportions)
    order, turns, held = np.empty(n, np.int64), np.empty(n, np.int64), np.zeros(len(share))
    for i in range(n):
        order[i] = np.argmax(np.where(held < share * (i + 1), share / (held + 1), -1))
        turns[i] = held[order[i]]
        held[order[i]] += 1
    return order, turns


def proportions_of(classes: Sequence[str], reference: Dataset) -> tuple[tuple[float, ...], tuple[str, ...]]:
    """Compute the share of each of a run's classes among the reference images, with notes on mismatches.

    Args:
        classes: the run's classes in the order of its labels; empty for a run without classes.

    Returns:
        Shares that sum to 1, one per class, and the notes.
    """
    if not classes:
        return (), ()
    even = tuple(1 / len(classes) for _ in classes)
    if reference.labels is None:
        return even, ("the reference has no classes: samples have all classes of the run equally often",)
    counts = dict(zip(reference.classes, reference.class_counts().tolist(), strict=True))
    found = [counts.get(name, 0) for name in classes]
    if not sum(found):
        return even, ("the reference has none of the run's classes: samples have all of these equally often",)
    notes = []
    if absent := [name for name, n in zip(classes, found, strict=True) if not n]:
        notes.append(f"the reference has no {listed(absent)}: no samples of these classes were drawn")
    if unknown := [name for name, n in counts.items() if n and name not in classes]:
        notes.append(f"the reference has images of classes that the run lacks: {listed(unknown)}")
    return tuple(n / sum(found) for n in found), tuple(notes)


def prompts_of(loaded: LoadedRun, reference: Dataset) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
    """Captions of reference images as prompts for a run with text, by class, with notes on missing ones."""
    found = () if loaded.text is None else captions_by_class(reference, loaded.classes)
    missing = loaded.text is not None and not found
    notes = ("the reference has no captions: samples were drawn without prompts",) if missing else ()
    return tuple(tuple(map(escape, captions)) for captions in found), notes


def captions_by_class(data: Dataset, classes: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """The captions of at most ``MOST`` images, in random order, as they are; empty if there are none.

    Args:
        classes: those of a run, for each of which to return captions; if it has none, or the images have none, all
            captions are for all.
    """
    captions = data.captions or ()
    some = [i for i in data.spread(CAPTIONS).tolist() if captions[i]] if captions else []
    if not some:
        return ()
    chosen = [some[i] for i in Stream(0, "captions", len(some)).permutation(len(some))[:MOST].tolist()]
    found = [captions[i].split("\n")[0] for i in chosen]
    if not classes or data.labels is None:
        each = max(1, len(classes))
        return (tuple(found[: -(-MOST // each)]),) * each
    by_name: dict[str, list[str]] = {name: [] for name in classes}
    for number, caption in zip(np.asarray(data.labels[np.asarray(chosen)]).tolist(), found, strict=True):
        by_name.get(data.classes[number], []).append(caption)
    return tuple(map(tuple, by_name.values()))


def of_each_kind(loaded: LoadedRun) -> Subjects:
    """The subject of one image that has everything a run is conditioned on."""
    return Subjects((0,) if loaded.classes else None, ("anything",) if loaded.text is not None else None)


@dataclass(frozen=True)
class SampleStore:
    """The first n samples of a recipe, in files of 64 under ``folder``.

    Attributes:
        shape: (H, W, C) of a sample.
    """

    folder: Path
    n: int
    shape: tuple[int, int, int]

    def __len__(self) -> int:
        return self.n

    @property
    def shards(self) -> Shards[Pixels]:
        """The files, each of 64 samples whatever n is."""
        return Shards(self.folder, -(-self.n // SHARD) * SHARD, SHARD, "{k:06d}.npy", self._load)

    def missing(self) -> list[int]:
        """The numbers of the files that are missing or damaged."""
        return self.shards.missing()

    def read(self, indices: Ints) -> Pixels:
        """Read the samples at these indices, (b, H, W, C)."""
        out = np.empty((len(indices), *self.shape), np.uint8)
        files = np.asarray(indices) // SHARD
        for k in np.unique(files):
            here = files == k
            out[here] = self.shards.read(int(k))[np.asarray(indices)[here] % SHARD]
        return out

    def draw(
        self, loaded: LoadedRun, recipe: SampleRecipe, numbers: list[int], batch: int, progress: Progress
    ) -> Iterator[int]:
        """Draw these files, and yield the number of each once it is written.

        Args:
            batch: the number of images in memory at a time, up to 64.
            progress: called with (network steps done, total).
        """
        parts = -(-SHARD // batch)
        steps = recipe.sampling.steps
        for done, k in enumerate(numbers):
            indices = np.asarray(self.shards.images(k))
            pixels = []
            for j in range(parts):
                part = indices[j * batch : (j + 1) * batch]
                report = part_of(progress, (done * parts + j) * steps, len(numbers) * parts * steps)
                pixels.append(loaded.draw(recipe.sampling, recipe.subjects(part), recipe.seed, part.tolist(), report))
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

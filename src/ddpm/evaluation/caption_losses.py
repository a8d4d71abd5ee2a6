"""The losses of a run on images under different captions."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from ddpm import build
from ddpm.core.stream import Stream
from ddpm.data.dataset import Dataset
from ddpm.engine.run import LoadedRun
from ddpm.engine.subjects import Subjects
from ddpm.objectives.objective import Objective
from ddpm.system.progress import Progress, silent
from ddpm.text.weighting import escape

BATCH = 64


@dataclass(frozen=True)
class CaptionLosses:
    """The losses of a run at fixed noise levels, with noise that is the same whatever the caption.

    Attributes:
        levels: the number of noise levels, evenly spread over the timesteps.
        batch: the most images at a time, at least 32.
    """

    loaded: LoadedRun
    seed: int
    levels: int
    batch: int = BATCH

    @property
    def timesteps(self) -> list[int]:
        """The timesteps of the levels, from low to high noise."""
        return [timestep for timestep, _ in self._objective.held_out(self.seed, 1, self.levels)]

    @torch.no_grad()
    def __call__(
        self, images: Dataset, captions: Sequence[Sequence[str] | None], progress: Progress = silent
    ) -> torch.Tensor:
        """The loss of each image at each level under several captions, (len(captions), levels, N) float64.

        Args:
            images: their labels, if any, are numbers of the run's classes, and given whatever the captions.
            captions: lists of one caption per image, or None for the null caption.
            progress: called with (batches at a level done, total).
        """
        engine, objective = self.loaded.engine, self._objective
        moments = engine.codec.moments
        # equal parts: none is so small that the CPU would round it differently
        parts = np.array_split(np.arange(len(images)), -(-len(images) // self.batch))
        out = torch.empty(len(captions), self.levels, len(images), dtype=torch.float64)
        done, total = 0, len(parts) * len(captions) * self.levels
        for indices in parts:
            part = slice(int(indices[0]), int(indices[-1]) + 1)
            stored = torch.from_numpy(images.read(indices)).to(engine.device)
            if moments is not None:  # as in training, and once for all captions
                stored = moments(stored)
            for k, each in enumerate(captions):
                raw = self.loaded.conditions(
                    Subjects(
                        None if images.labels is None else tuple(images.labels[indices].tolist()),
                        None if each is None else tuple(map(escape, each[part])),
                    )
                )
                conditions = {kind: values.to(engine.device) for kind, values in raw.items()}
                for level, (_, draws) in enumerate(objective.held_out(self.seed, len(images), self.levels)):
                    losses = objective.losses(engine.model, stored, conditions, draws.part(part))
                    out[k, level, part] = losses.cpu().double()  # MPS has no float64
                    done += 1
                    progress(done, total)
        return out

    @property
    def _objective(self) -> Objective:
        return build.build_objective(self.loaded.config, self.loaded.engine.codec)


def first_captions(data: Dataset) -> list[str]:
    """The first caption of each image; "" for an image without."""
    return [caption.split("\n")[0] for caption in data.captions or ("",) * len(data)]


def others(data: Dataset, pool: Sequence[str], n: int, seed: int) -> list[list[str]]:
    """For each image, n different captions from a pool, at random, none of them its own.

    Captions that differ in case alone count as the same.

    Args:
        n: at most :func:`most_others`.
    """
    known = [found for _, found in sorted(_distinct(pool).items())]
    order = Stream(seed, "captions of others").permutation(len(known)).tolist()
    chosen = []
    for i, own in enumerate(own_captions(data)):
        turned = (known[order[(i * n + k) % len(known)]] for k in range(len(known)))
        chosen.append(list(islice((caption for caption in turned if caption.casefold() not in own), n)))
    return chosen


def most_others(data: Dataset, pool: Sequence[str]) -> int:
    """The largest n for :func:`others`: every image has this many different captions of others in the pool."""
    known = _distinct(pool).keys()
    return min(len(known) - len(own & known) for own in own_captions(data))


def wrong_captions(data: Dataset, pool: Sequence[str], seed: int) -> list[str]:
    """For each image, a caption from a pool, at random, that is not one of its own.

    Unlike among :func:`others`, a caption is drawn as often as it occurs in the pool.
    """
    starts = Stream(seed, "wrong captions").integers(len(pool), len(data)).tolist()
    found = []
    for start, own in zip(starts, own_captions(data), strict=True):
        turned = (pool[(start + k) % len(pool)] for k in range(len(pool)))
        found.append(next(caption for caption in turned if caption.casefold() not in own))
    return found


def own_captions(data: Dataset) -> list[set[str]]:
    """All captions of each image, in lower case."""
    return [{line.casefold() for line in caption.split("\n")} for caption in data.captions or ("",) * len(data)]


def _distinct(pool: Sequence[str]) -> dict[str, str]:
    """The captions of a pool by their lower case, in which they are distinct."""
    return {caption.casefold(): caption for caption in sorted(pool, reverse=True)}


def share_found(losses: torch.Tensor) -> float:
    """The share of images whose first caption has the lowest loss of all, (captions, N); ties share their hit.

    So a model that ignores captions finds one out of the number of captions.
    """
    least = losses == losses.min(0).values
    return float((least[0].double() / least.sum(0)).nan_to_num().mean())

"""The order of images in batches, as functions of the seed, so that a resumed run needs no state.

Random bits are hashes of an image's index, not a stream: any one can be computed on its own, and a run always holds
out the same images.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ddpm.core.seed import derive
from ddpm.data.dataset import Ints


@lru_cache(maxsize=2)
def epoch_order(seed: int, epoch: int, n: int) -> Ints:
    """A permutation of 0 … n - 1, (n,) int64."""
    return np.argsort(_bits(derive(seed, "order", epoch), np.arange(n)), kind="stable")


def step_indices(seed: int, step: int, batch: int, n: int) -> tuple[Ints, Ints]:
    """The global batch of a step: positions ``step · batch`` … in the endless sequence of the epochs' permutations.

    Returns:
        epochs, indices: (batch,) int64 each; a batch may span epochs, and be larger than n.
    """
    epochs, places = np.divmod(np.arange(step * batch, (step + 1) * batch), n)
    indices = np.empty(batch, np.int64)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        indices[here] = epoch_order(seed, int(epoch), n)[places[here]]
    return epochs, indices


def flipped(seed: int, epochs: Ints, indices: Ints) -> npt.NDArray[np.bool_]:
    """Whether each image is mirrored in its epoch: a fair coin f(seed, epoch, index), (batch,) bool."""
    return (_draws(seed, "flip", epochs, indices) >> np.uint64(63)).astype(np.bool_)


def variants(seed: int, epochs: Ints, indices: Ints) -> npt.NDArray[np.uint64]:
    """64 random bits f(seed, epoch, index) that choose among the captions of each image in its epoch, (batch,)."""
    return _draws(seed, "caption", epochs, indices)


def split(n: int, seed: int, validation: int = 0) -> tuple[Ints, Ints]:
    """The sorted training and held-out indices; n / 20 are held out, at most 512, and none if n < 40.

    Args:
        validation: The number of images, the last ones, that are held out instead.
    """
    if validation:
        return np.arange(n - validation), np.arange(n - validation, n)
    held = min(512, n // 20) if n >= 40 else 0
    order = np.argsort(_bits(derive(seed, "held out"), np.arange(n)), kind="stable")
    return np.sort(order[held:]), np.sort(order[:held])


def _draws(seed: int, what: str, epochs: Ints, indices: Ints) -> npt.NDArray[np.uint64]:
    """64 random bits f(seed, what, epoch, index), (batch,)."""
    bits = np.empty(len(indices), np.uint64)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        bits[here] = _bits(derive(seed, what, int(epoch)), indices[here])
    return bits


def _bits(seed: int, places: Ints) -> npt.NDArray[np.uint64]:
    """64 random bits per position, by SplitMix64 (Steele et al. 2014), which never changes, unlike NumPy's own."""
    z: npt.NDArray[np.uint64] = places.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))

"""The order of images in batches, as functions of the seed, so that a resumed run needs no state.

Random bits are hashes of an image's index, not a stream: any one can be computed on its own, in the same time and
memory for any number of images, and a run always holds out the same ones.
"""

import math

import numpy as np
import numpy.typing as npt

from ddpm.core.seed import derive
from ddpm.data.columns import Ints, Without
from ddpm.system.errors import InputError

Bits = npt.NDArray[np.uint64]

ROUNDS = 8
"""Rounds of the Feistel network, an even number; four would do against an adversary on large sets."""


def permuted(keys: Bits, places: Ints, n: int) -> Ints:
    """The numbers at places of pseudo-random permutations of 0 … n - 1, each computed on its own, (b,) int64.

    The generalised Feistel network of Black & Rogaway 2002, "Ciphers with arbitrary finite domains": a number is a pair
    (x, y) of Z_a × Z_b, ``a b >= n``, and a hash of one is added to the other in turn. Results outside 0 … n - 1
    are encrypted again until they land inside; they are few, as ``a b < n + √n + 1``.

    Args:
        keys: (b,), the key of the permutation of each place.
    """
    found = _encrypted(keys, places, n)
    while len(out := np.flatnonzero(found >= n)):
        found[out] = _encrypted(keys[out], found[out], n)
    return found


def _encrypted(keys: Bits, numbers: Ints, n: int) -> Ints:
    a = math.isqrt(n - 1) + 1
    b = -(-n // a)
    y, x = np.divmod(numbers, a)
    for turn in range(ROUNDS):
        hashes = _bits(_bits(keys, np.array([turn])), y)
        # the halves are swapped in each round, and so are their moduli
        x, y, a, b = y, (x + (hashes % np.uint64(a)).astype(np.int64)) % a, b, a
    return np.asarray(y * a + x)


def epoch_order(seed: int, epochs: Ints, places: Ints, n: int) -> Ints:
    """The images, out of n, at places in the orders of these epochs, (b,) each."""
    different, which = np.unique(epochs, return_inverse=True)
    keys = np.array([derive(seed, "order", epoch) for epoch in different.tolist()], np.uint64)
    return permuted(keys[which], places, n)


def step_indices(seed: int, step: int, batch: int, n: int) -> tuple[Ints, Ints]:
    """The global batch of a step: positions ``step · batch`` … in the endless sequence of the epochs' permutations.

    Returns:
        epochs, indices: (batch,) int64 each; a batch may span epochs, and be larger than n.
    """
    epochs, places = np.divmod(np.arange(step * batch, (step + 1) * batch), n)
    return epochs, epoch_order(seed, epochs, places, n)


def flipped(seed: int, epochs: Ints, indices: Ints) -> npt.NDArray[np.bool_]:
    """Whether each image is mirrored in its epoch: a fair coin f(seed, epoch, index), (batch,) bool."""
    return (_draws(seed, "flip", epochs, indices) >> np.uint64(63)).astype(np.bool_)


def variants(seed: int, epochs: Ints, indices: Ints) -> Bits:
    """64 random bits f(seed, epoch, index) that choose among the captions of each image in its epoch, (batch,)."""
    return _draws(seed, "caption", epochs, indices)


def split(n: int, seed: int, validation: int = 0) -> tuple[Without, Ints]:
    """The sorted training and held-out indices; n / 20 are held out, at most 512, and none if n < 40.

    Args:
        validation: The number of images at the end that are held out instead.

    Raises:
        InputError: no image is left to train on.
    """
    if validation and validation >= n:
        raise InputError("invalid", f"all {n:,} usable images are held out; add some to train on")
    if validation:
        left_out = np.arange(n - validation, n)
        return Without(n, left_out), left_out
    held = min(512, n // 20) if n >= 40 else 0
    keys = np.full(held, derive(seed, "held out"), np.uint64)
    left_out = np.sort(permuted(keys, np.arange(held), n))
    return Without(n, left_out), left_out


def _draws(seed: int, what: str, epochs: Ints, indices: Ints) -> Bits:
    """64 random bits f(seed, what, epoch, index), (batch,)."""
    bits = np.empty(len(indices), np.uint64)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        bits[here] = _bits(derive(seed, what, int(epoch)), indices[here])
    return bits


def _bits(seed: int | Bits, places: Ints) -> Bits:
    """64 random bits per position, by SplitMix64 (Steele et al. 2014), which never changes, unlike NumPy's own."""
    z: Bits = places.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.asarray(seed, np.uint64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))

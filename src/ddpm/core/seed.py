"""Randomness as a function: one seed, and a name for each use of it."""

import hashlib
from operator import index


def derive(seed: int, *purpose: int | str) -> int:
    """A seed in [0, 2⁶⁴) for one use of a seed, such as ``derive(seed, "weights")``.

    A hash of the written-out arguments: the same on every platform and version, and unrelated for any two different
    uses, so that seeds 0 and 1 share nothing.
    """
    return _hash(8, seed, *purpose)


def key(seed: int, *purpose: int | str) -> int:
    """As :func:`derive`, of 128 bits: enough that no two of all streams ever drawn have the same."""
    return _hash(16, seed, *purpose)


def _hash(size: int, *parts: int | str) -> int:
    """BLAKE2b of ``size`` bytes."""
    written = [repr(part) if isinstance(part, str) else str(index(part)) for part in parts]
    return int.from_bytes(hashlib.blake2b(",".join(written).encode(), digest_size=size).digest(), "little")

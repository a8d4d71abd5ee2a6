"""Seeds derived from one seed and a name for each use."""

import hashlib
from operator import index


def derive(seed: int, *purpose: int | str) -> int:
    """A seed in [0, 2⁶⁴) for one use of a seed, such as ``derive(seed, "weights")``.

    A hash of the arguments: the same on every platform and version, and independent for different uses, even of
    seeds 0 and 1.
    """
    return _hash(8, seed, *purpose)


def key(seed: int, *purpose: int | str) -> int:
    """A key of 128 bits, like :func:`derive`: enough that no two streams ever share one."""
    return _hash(16, seed, *purpose)


def _hash(size: int, *parts: int | str) -> int:
    """The BLAKE2b hash, of ``size`` bytes."""
    written = [repr(part) if isinstance(part, str) else str(index(part)) for part in parts]
    return int.from_bytes(hashlib.blake2b(",".join(written).encode(), digest_size=size).digest(), "little")

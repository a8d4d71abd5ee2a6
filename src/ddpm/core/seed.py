"""Randomness as a function: one seed, and a name for each use of it."""

import hashlib
from operator import index


def derive(seed: int, *stream: int | str) -> int:
    """A seed in [0, 2⁶⁴) for one stream of random numbers, such as ``derive(seed, "noise", step)``.

    The first 8 bytes of BLAKE2b over the written-out arguments: the same on every platform and version, and
    unrelated for any two different streams, so that seeds 0 and 1 share nothing.
    """
    parts = [repr(part) if isinstance(part, str) else str(index(part)) for part in (seed, *stream)]
    digest = hashlib.blake2b(",".join(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")

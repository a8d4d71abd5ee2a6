"""Counting repeated values in bounded memory."""

from array import array

import numpy as np


class Repeats:
    """The number of values that equal an earlier one, in a stream of hashes.

    Adaptive sampling (Wegman; Flajolet 1990, "On adaptive sampling"): hashes that end in k zero bits are kept, and k
    grows by one whenever more than ``most`` are. Until then the count is exact; later it is estimated from those kept,
    as equal values are kept or dropped together.
    """

    def __init__(self, most: int = 2**22) -> None:
        self.most, self.k = most, 0
        self._kept = array("Q")

    def add(self, digest: bytes) -> None:
        """Count a value by its hash, of at least 8 bytes."""
        value = int.from_bytes(digest[:8], "little")
        if value & ((1 << self.k) - 1) == 0:
            self._kept.append(value)
            while len(self._kept) > self.most and self.k < 64:
                self.k += 1
                kept = np.frombuffer(self._kept, np.uint64)
                self._kept = array("Q", kept[kept & np.uint64((1 << self.k) - 1) == 0].tobytes())

    @property
    def count(self) -> int:
        kept = np.frombuffer(self._kept, np.uint64)
        return (len(kept) - len(np.unique(kept))) << self.k

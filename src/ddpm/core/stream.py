"""Streams of random numbers, each a function of its name alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt
import torch

from ddpm.core.seed import key


class Stream:
    """The random numbers of one purpose, such as ``Stream(seed, "noise", step)``, drawn in order on the CPU.

    They are made by Philox 4x64-10 (Salmon et al. 2011), a counter that is enciphered under a key of 128 bits, the hash
    of the stream's name: among a million streams, two are the same with probability 2⁻⁸⁹. PyTorch's generator keeps 32
    bits of a seed on the CPU, by which two of 50,000 images are the same with probability 25 %.

    NumPy promises the bits of Philox for all its versions. Uniform numbers, integers and permutations are made of them
    here, in operations that every processor rounds alike. Normal numbers are NumPy's ziggurat (Marsaglia & Tsang 2000):
    a table and a product, so no vectorised logarithm or cosine, whose last bit would be the processor's.
    """

    def __init__(self, seed: int, *purpose: int | str) -> None:
        self._philox = np.random.Philox(key=key(seed, *purpose))
        self._generator = np.random.Generator(self._philox)

    def bits(self, n: int) -> npt.NDArray[np.uint64]:
        """(n,) uint64, all values alike."""
        return self._philox.random_raw(n)

    def uniform(self, *shape: int) -> torch.Tensor:
        """Float64 in [0, 1), multiples of 2⁻⁵³."""
        drawn = (self.bits(torch.Size(shape).numel()) >> np.uint64(11)) * 2.0**-53
        return torch.from_numpy(drawn).reshape(shape)

    def integers(self, n: int, *shape: int) -> torch.Tensor:
        """Int64 in 0 … n - 1, whose probabilities differ by less than 2⁻⁵³."""
        return self.uniform(*shape).mul_(n).long()

    def permutation(self, n: int) -> torch.Tensor:
        """The numbers 0 … n - 1 in random order, (n,) int64."""
        return torch.from_numpy(np.argsort(self.bits(n), kind="stable"))

    def normal(self, *shape: int) -> torch.Tensor:
        """Standard normal float32."""
        drawn = torch.empty(shape, dtype=torch.float32)
        self._generator.standard_normal(dtype=np.float32, out=drawn.numpy())
        return drawn


@dataclass(frozen=True, slots=True)
class RowStreams:
    """The streams of some rows of a global batch, one a row and purpose, so that how a batch is split changes nothing.

    Attributes:
        seed, step: of the batch.
        batch: rows of the global batch.
        rows: those that are meant.
    """

    seed: int
    step: int
    batch: int
    rows: range

    def whole(self, purpose: str) -> Stream:
        """A stream for the whole global batch, the same for every part of it."""
        return Stream(self.seed, purpose, self.step)

    def uniform(self, purpose: str) -> torch.Tensor:
        """(b,) float32, uniform in [0, 1]."""
        drawn = self.whole(purpose).uniform(self.batch)
        return drawn[self.rows.start : self.rows.stop].float()

    def normal(self, purpose: str, shape: Sequence[int]) -> torch.Tensor:
        """(b, *shape) float32, standard normal."""
        return torch.stack([Stream(self.seed, purpose, self.step, row).normal(*shape) for row in self.rows])

    def part(self, where: slice) -> Self:
        """The streams of some of these rows."""
        return replace(self, rows=self.rows[where])

"""Apply a network to a large image in overlapping tiles."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import torch

from ddpm.sampling.windows import starts

OVERLAP = 0.25
"""The smallest fraction of a tile that it shares with the next one."""


@dataclass(frozen=True, slots=True)
class Tiles:
    """A network from one grid to another, applied in tiles: one position of the coarser grid is a unit of length.

    In the quarter of an overlap that is nearest to its end, a tile has no weight, and in the half between the quarters
    its weight changes linearly. So the result is that of the whole image if no output depends on anything further away
    than a quarter of the overlap; otherwise it still has no visible steps.

    Attributes:
        apply: (B, C, *space) -> (B, C', *space').
        inner, outer: the elements of its input and its output per unit, on each side.
        size: the side of a tile, in units.
    """

    apply: Callable[[torch.Tensor], torch.Tensor]
    inner: int
    outer: int
    size: int

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, *space) -> (B, C', *space'); at once if no side is longer than a tile."""
        units = [n // self.inner for n in x.shape[2:]]
        if max(units) <= self.size:
            return self.apply(x)
        axes = [_starts(n, self.size) for n in units]
        weights = [ramps(begins, n, min(n, self.size), self.outer) for begins, n in zip(axes, units, strict=True)]
        total: torch.Tensor | None = None
        for corner in product(*(range(len(begins)) for begins in axes)):
            first = [begins[k] for begins, k in zip(axes, corner, strict=True)]
            last = [a + min(n, self.size) for a, n in zip(first, units, strict=True)]
            out = self.apply(x[_within(first, last, self.inner)])
            for axis, k in enumerate(corner):
                # (size,) -> (size, 1, ..., 1), to multiply along its axis
                out = out * weights[axis][k].to(out).reshape(-1, *[1] * (len(units) - 1 - axis))
            if total is None:
                total = out.new_zeros(*out.shape[:2], *(n * self.outer for n in units))
            total[_within(first, last, self.outer)] += out
        assert total is not None
        return total


def _starts(length: int, size: int) -> list[int]:
    return starts(length, size, OVERLAP) if length > size else [0]


def ramps(begins: Sequence[int], length: int, size: int, scale: int) -> list[torch.Tensor]:
    """The weights of the tiles along an axis, (size · scale,) float64 each; their sum is 1 at every position."""
    overlap = OVERLAP * size
    at = (torch.arange(size * scale, dtype=torch.float64) + 0.5) / scale
    total, found = torch.zeros(length * scale, dtype=torch.float64), []
    for a in begins:
        weight = torch.ones_like(at)
        if a > 0:
            weight = weight.minimum(((at - overlap / 4) / (overlap / 2)).clamp(0, 1))
        if a + size < length:
            weight = weight.minimum(((size - at - overlap / 4) / (overlap / 2)).clamp(0, 1))
        total[a * scale : (a + size) * scale] += weight
        found.append(weight)
    return [w / total[a * scale : (a + size) * scale] for a, w in zip(begins, found, strict=True)]


def _within(first: Sequence[int], last: Sequence[int], scale: int) -> tuple[slice, ...]:
    """The index of a tile in (B, C, *space)."""
    return (slice(None), slice(None), *(slice(a * scale, b * scale) for a, b in zip(first, last, strict=True)))

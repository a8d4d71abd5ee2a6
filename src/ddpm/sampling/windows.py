"""Images larger than in training, by overlapping windows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial, reduce
from itertools import product
from math import ceil, prod
from types import EllipsisType

import torch
from torch.utils.checkpoint import checkpoint

from ddpm.core import Cond, Denoised, Denoiser, Level

Stretch = tuple[slice, torch.Tensor]
"""A window's range along one axis, and its weight in the mean there."""

Part = tuple[slice, tuple[Stretch, ...]]
"""Images of a batch with a window on them, by axis."""


@dataclass(frozen=True, slots=True)
class Windows:
    """A denoiser of one size applied to any larger one: the mean of its answers in overlapping windows.

    ``x0(p) = sum_w g_w(p) · x0_w(p) / sum_w g_w(p)`` over the windows w that hold the position p (Bar-Tal et al. 2023,
    "MultiDiffusion", eq. 5, in x0), with g the product over the axes of :func:`profile`. An x of the window's own size
    gets the denoiser's own answer. Guidance belongs inside: some of its rules measure whole images of the training
    size. Gradients pass through; where it takes several calls, each is recomputed for them rather than kept.

    Attributes:
        denoise: a denoiser of (n, C, *size).
        size: the size of a window, one entry per axis.
        overlap: the least fraction of a window along an axis that the next one shares; in [0, 1).
        batch: the maximum number of windows per call; beyond it, only x0 itself grows with x.
    """

    denoise: Denoiser
    size: tuple[int, ...]
    overlap: float = 0.5
    batch: int = 64

    def __post_init__(self) -> None:
        if not self.size or min(self.size) < 1:
            raise ValueError(f"the window size must be at least 1 along each axis, not {self.size}")
        if not 0 <= self.overlap < 1:
            raise ValueError(f"overlap must be a fraction of the window, at least 0 and below 1, not {self.overlap}")
        if self.batch < 1:
            raise ValueError(f"batch must be at least 1, not {self.batch}")

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        """Denoise x (B, C, *space), with each axis at least as long as the window's.

        Raises:
            ValueError: x is smaller than a window, or has other axes.
        """
        n, windows = len(x), list(product(*self._axes(x)))
        x0, var_mix = torch.zeros_like(x), None
        calls = ceil(n * len(windows) / self.batch)
        ask = self.denoise if calls == 1 else partial(checkpoint, self.denoise, use_reentrant=False)
        # the rows to denoise, all images of one window after another, in calls of nearly equal size
        for rows in torch.arange(n * len(windows)).tensor_split(calls):
            first, last = int(rows[0]), int(rows[-1]) + 1
            parts = [
                (slice(max(first - n * k, 0), last - n * k), windows[k]) for k in range(first // n, ceil(last / n))
            ]
            out = ask(torch.cat([x[_within(part)] for part in parts]), level.rows(rows % n), _cropped_cond(cond, parts))
            _add(x0, out.x0, parts)
            if out.var_mix is not None:
                var_mix = torch.zeros_like(x) if var_mix is None else var_mix
                _add(var_mix, out.var_mix, parts)
        return Denoised(x0, var_mix)

    def _axes(self, x: torch.Tensor) -> list[list[Stretch]]:
        space = x.shape[2:]
        if len(space) != len(self.size) or any(n < size for n, size in zip(space, self.size, strict=True)):
            raise ValueError(f"x must be at least as large as a window, {self.size}, not {tuple(space)}")
        axes = []
        for axis, (n, size) in enumerate(zip(space, self.size, strict=True)):
            begins = starts(n, size, self.overlap)
            # (windows, size) -> (size, 1, ..., 1) for each, to multiply along its axis
            weights = weights_of(begins, n, size).to(x).reshape(len(begins), size, *[1] * (len(space) - 1 - axis))
            axes.append([(slice(a, a + size), weight) for a, weight in zip(begins, weights, strict=True)])
        return axes


def starts(length: int, size: int, overlap: float) -> list[int]:
    """Return where the windows along an axis start: the first at 0, the last flush with the end, evenly spaced."""
    stride = max(1, int(size * (1 - overlap)))
    gaps = ceil((length - size) / stride)
    return [round(i * (length - size) / gaps) for i in range(gaps)] + [length - size]


def profile(size: int) -> torch.Tensor:
    """``sin²(π (i + ½) / size)``, (size,) float64: a window's weight fades towards its borders but is nowhere 0."""
    return torch.sin(torch.pi * (torch.arange(size, dtype=torch.float64) + 0.5) / size) ** 2


def weights_of(begins: Sequence[int], length: int, size: int) -> torch.Tensor:
    """Normalise the windows' weights along an axis by their sum, (windows, size) float64: 1 where one is alone.

    Windows are products over the axes, and so are their weights.
    """
    weight = profile(size)
    total = torch.zeros(length, dtype=torch.float64)
    for a in begins:
        total[a : a + size] += weight
    return torch.stack([weight / total[a : a + size] for a in begins])


def _add(mean: torch.Tensor, crops: torch.Tensor, parts: list[Part]) -> None:
    """Add crops (n, C, *size), weighted, to their places in a mean (B, C, *space)."""
    at = 0
    for part in parts:
        there = mean[_within(part)]
        there += prod((share for _, share in part[1]), start=crops[at : at + len(there)])
        at += len(there)


def _cropped_cond(cond: Cond | None, parts: list[Part]) -> Cond | None:
    """Select the conditioning for the crops of all parts."""
    if cond is None:
        return None
    return reduce(Cond.cat, (cond.rows(images).crop([stretch for stretch, _ in window]) for images, window in parts))


def _within(part: Part) -> tuple[slice | EllipsisType, ...]:
    """Return the index of a part in (B, C, *space)."""
    images, window = part
    return (images, ..., *(stretch for stretch, _ in window))

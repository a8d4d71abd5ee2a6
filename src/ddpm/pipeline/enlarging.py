"""Small images made large in batches, by a run that has learned it."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from ddpm import build
from ddpm.config.sampling import SamplingConfig
from ddpm.config.upscaling import UpscalingConfig
from ddpm.constraints import DDNM, AveragePool
from ddpm.constraints.ddnm import ROUNDS
from ddpm.core import Cond, LowResolution
from ddpm.core.seed import derive
from ddpm.images.pixels import Pixels
from ddpm.pipeline.batches import among, batches
from ddpm.sampling import SampleNoise, start, steps
from ddpm.sampling.windows import Windows
from ddpm.system.errors import InputError

if TYPE_CHECKING:
    from ddpm.pipeline.pipeline import Pipeline

WHOLE = 4
"""A result with a side longer than so many times that of the images of training is drawn in windows of their size:
attention over more positions takes long, and was learned on few."""


@dataclass(frozen=True, slots=True)
class Enlarging:
    """How small pictures are made large, beside how all samples are drawn.

    Attributes:
        augment: noise that the enlarged picture gets before the network sees it, as a share of all noise.
        consistent: whether the mean of each box of the result is held to be the small picture's pixel.
    """

    augment: float
    consistent: bool

    @classmethod
    def settle(cls, config: UpscalingConfig, augment: float | None, consistent: bool | None) -> "Enlarging":
        """What is asked for, and the run's own for the rest; a noisy condition is not held to unless that is asked.

        Raises:
            InputError: more noise than was trained on.
        """
        strength = config.augment if augment is None else augment
        if not 0 <= strength <= config.s_max:
            raise InputError(f"augment must be between 0 and {config.s_max:g}, as in training, not {strength:g}")
        return cls(strength, config.consistent and strength == 0 if consistent is None else consistent)


@dataclass(frozen=True, slots=True, eq=False)
class Small:
    """A small image, and what it gets.

    Attributes:
        pixels: (h, w, C) uint8.
        index: the image gets the noise that is a function of (seed, index).
        label: its class by number; None, as of all or none of a batch, takes the null label.
    """

    pixels: Pixels
    index: int
    label: int | None = None


def enlarge(
    pipe: "Pipeline",
    how: SamplingConfig,
    enlarging: Enlarging,
    smalls: Sequence[Small],
    seed: int,
    batch: int = 64,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[tuple[int, Pixels]]:
    """Each image by its number, made large: (h · scale, w · scale, C) uint8; those of a batch when it is drawn.

    Args:
        batch: images in memory at a time; those larger than in training are drawn one by one.
        progress: called with (network steps done, in all).

    Raises:
        InputError: a batch of none.
    """
    if batch < 1:
        raise InputError(f"batch must be at least 1, not {batch}")
    each = parts(pipe, smalls, batch)
    for number, part in enumerate(each):
        report = among(progress, number, len(each))
        yield from zip(part, draw(pipe, how, enlarging, [smalls[i] for i in part], seed, report), strict=True)


def parts(pipe: "Pipeline", smalls: Sequence[Small], most: int) -> list[list[int]]:
    """Images that are drawn together, by number: of one size, up to ``most``; those larger than in training alone."""
    return batches((small.pixels.shape for small in smalls), lambda i: most if _together(pipe, smalls[i]) else 1)


def _together(pipe: "Pipeline", small: Small) -> bool:
    """Whether an image comes out no larger than those of training."""
    assert pipe.config.upscaling is not None
    height, width, _ = small.pixels.shape
    area: int = height * width * pipe.config.upscaling.scale**2
    return area <= math.prod(pipe.config.data.size)


@torch.no_grad()
def draw(
    pipe: "Pipeline",
    how: SamplingConfig,
    enlarging: Enlarging,
    smalls: Sequence[Small],
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> Pixels:
    """One batch of small images of one size made large, (B, h · scale, w · scale, C) uint8.

    The expected image is held to the small one by ``x0 + A⁺(y - A x0)``, A the mean of each box (Wang et al. 2023,
    eq. 13), in turn with clipping, so that black and white boxes agree too. Sides that the network does not divide are
    mirrored at their end, and cut off again.
    """
    pairs = build.build_pairs(pipe.config)
    assert pairs is not None
    n, (height, width, _) = len(smalls), smalls[0].pixels.shape
    rows = [smalls[i] for i in pipe.fill(list(range(n)))] if _together(pipe, smalls[0]) else smalls
    indices, labels = [small.index for small in rows], [small.label for small in rows if small.label is not None]
    divisor = pipe.config.network.divisor // math.gcd(pipe.config.network.divisor, pairs.scale)
    given = torch.from_numpy(np.stack([small.pixels for small in rows])).to(pipe.device)
    low = mirrored(pipe.codec.encode(given), divisor)
    image = pairs.enlarge(low)
    shape = tuple(image.shape[1:])
    eps = SampleNoise(derive(seed, "augment"), indices, shape, pipe.device)()
    strength = torch.full((len(rows),), enlarging.augment, device=pipe.device)
    seen, label = _told(pipe, pairs.noised(image, strength, eps)), pipe.cond(labels, len(rows))
    denoise = pipe.denoiser(how, labelled=bool(labels), noise=replace(seen, image=None).rows(slice(0, 1)))
    if any(side > WHOLE * trained for side, trained in zip(shape[1:], pipe.config.data.size, strict=True)):
        denoise = Windows(denoise, tuple(map(min, shape[1:], pipe.config.data.size)))
    if enlarging.consistent:
        denoise = DDNM(denoise, AveragePool(pairs.scale), low, rounds=ROUNDS if how.clips else 0)
    solver, grid = build.build_solver(how, pipe.schedule), build.build_grid(how, pipe.schedule)
    randn = SampleNoise(seed, indices, shape, pipe.device)
    x = start(grid[0], randn)
    for step in steps(denoise, solver, grid, x, randn, seen if label is None else label.plus(seen)):
        x = step.x
        if progress is not None:
            progress(step.number, how.steps)
    pixels: Pixels = pipe.codec.decode(x[:n, :, : height * pairs.scale, : width * pairs.scale]).cpu().numpy()
    return pixels


def _told(pipe: "Pipeline", low: LowResolution) -> Cond:
    assert pipe.model.image is not None
    cond: Cond = pipe.model.image(low)
    return cond


def mirrored(low: torch.Tensor, divisor: int) -> torch.Tensor:
    """(B, C, h, w) with sides that divide, mirrored at the far end; a side too short for that repeats its last line."""
    for axis in (2, 3):
        side = low.shape[axis]
        more = -side % divisor
        places = torch.arange(side + more, device=low.device)
        back = 2 * (side - 1) - places
        low = low.index_select(axis, torch.where(places < side, places, back).clamp(0, side - 1))
    return low

"""Upscale small images in batches, by a super-resolution run."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from ddpm.conditioning.low_resolution import LowResolution
from ddpm.config.sampling import AreaConfig, SamplingConfig
from ddpm.config.upscaling import UpscalingConfig
from ddpm.constraints import AveragePool
from ddpm.core.condition import select
from ddpm.engine.batches import batches
from ddpm.engine.run import LoadedRun
from ddpm.engine.subjects import NOTHING, Subjects
from ddpm.engine.task import PLAIN, Task
from ddpm.images.pixels import Pixels
from ddpm.sampling import Row
from ddpm.system.errors import InputError
from ddpm.system.progress import Progress, among, silent
from ddpm.tasks.observed import observing

WHOLE = 4
"""A result with a side more than this many times as long as in training is drawn in windows of the training size:
attention over more positions is slow, and was trained on few."""


@dataclass(frozen=True, slots=True)
class Enlarging:
    """The settings of upscaling, in addition to those of sampling.

    Attributes:
        augment: noise added to the enlarged picture before the network sees it, as a fraction of full noise.
        consistent: whether the mean of each box of the result is constrained to equal the small picture's pixel.
    """

    augment: float
    consistent: bool

    @classmethod
    def settle(cls, config: UpscalingConfig, augment: float | None, consistent: bool | None) -> "Enlarging":
        """Fill in the run's defaults; a noisy condition is not enforced by default.

        Raises:
            InputError: more noise than in training.
        """
        strength = config.augment if augment is None else augment
        if not 0 <= strength <= config.s_max:
            raise InputError(
                "invalid", f"augment {strength:g} is out of range; use 0 to {config.s_max:g}, as in training"
            )
        return cls(strength, config.consistent and strength == 0 if consistent is None else consistent)


def enlarge_all(
    run: LoadedRun,
    how: SamplingConfig,
    enlarging: Enlarging,
    smalls: Sequence[Pixels],
    rows: Sequence[Row],
    subjects: Subjects = NOTHING,
    batch: int = 64,
    progress: Progress = silent,
) -> Iterator[tuple[int, Pixels]]:
    """Yield each image's number and its upscaled pixels, (h · scale, w · scale, C) uint8, batch by batch.

    Args:
        smalls: the small images, (h, w, C) uint8 each.
        rows: the seed and index that determine the noise of each.
        subjects: the label and the prompt of each.
        batch: images in memory at a time; those larger than in training are drawn one by one.
        progress: called with (network steps done, total).

    Raises:
        InputError: batch is below 1.
    """
    if batch < 1:
        raise InputError("invalid", f"batch is {batch}; use at least 1")
    each = parts(run, smalls, batch)
    for number, part in enumerate(each):
        report = among(progress, number, len(each))
        low, of_part = np.stack([smalls[i] for i in part]), [rows[i] for i in part]
        drawn = draw(run, how, enlarging, low, of_part, subjects.rows(part), report)
        yield from zip(part, drawn, strict=True)


def parts(run: LoadedRun, smalls: Sequence[Pixels], most: int) -> list[list[int]]:
    """Group images of one size into batches of at most ``most``, by number; those larger than in training are alone."""
    assert run.config.upscaling is not None
    own = math.prod(run.config.data.size) / run.config.upscaling.scale**2
    shapes = [small.shape for small in smalls]
    return batches(shapes, lambda i: most if math.prod(shapes[i][:2]) <= own else 1)


def draw(
    run: LoadedRun,
    how: SamplingConfig,
    enlarging: Enlarging,
    smalls: Pixels,
    rows: Sequence[Row],
    subjects: Subjects = NOTHING,
    progress: Progress = silent,
) -> Pixels:
    """Upscale one batch of small images (B, h, w, C) uint8, to (B, h · scale, w · scale, C) uint8.

    The expected image is made consistent with the small one by ``x0 + A⁺(y - A x0)``, A the mean of each box (Wang et
    al. 2023, eq. 13), alternating with clipping, so that black and white boxes agree too. Sides that the network cannot
    divide are padded by reflection and cropped again.
    """
    engine, conditioner = run.engine, run.engine.model.conditioners["low_resolution"]
    assert isinstance(conditioner, LowResolution)
    scale, divides = conditioner.scale, run.config.divisor
    divisor = divides // math.gcd(divides, scale)
    n, height, width, _ = smalls.shape
    low = mirrored(engine.encoded(smalls), divisor)
    image = conditioner.interpolate(low, scale)
    size = image.shape[2], image.shape[3]
    eps = engine.noise(rows, size, "augment")()
    s = torch.full((n,), enlarging.augment, device=engine.device)
    given = {"low_resolution": conditioner.noised(image, s, eps)}
    guides = run.guides(how, subjects)
    if guides.away is not None:  # the network sees the same enlarged image and noise without conditions
        guides = replace(guides, away={**guides.away, **select(given, slice(0, 1))})
    if guides.between is not None:
        guides = replace(guides, between={**guides.between, **given})

    def task(at: list[int]) -> Task:
        return observing("ddnm", AveragePool(scale), low[at], how, run.config) if enlarging.consistent else PLAIN

    large = any(side > WHOLE * own for side, own in zip(size, run.config.data.size, strict=True))
    sized = how.model_copy(update={"area": AreaConfig(size=size, whole=not large)})
    conditions = {**run.conditions(subjects), **given}
    pixels = engine.draw(sized, rows, conditions, guides, task=task, progress=progress)
    return pixels[:, : height * scale, : width * scale]


def mirrored(low: torch.Tensor, divisor: int) -> torch.Tensor:
    """Pad (B, C, h, w) to multiples of divisor by reflection at the far end; a side too short repeats its last line."""
    for axis in (2, 3):
        side = low.shape[axis]
        more = -side % divisor
        places = torch.arange(side + more, device=low.device)
        back = 2 * (side - 1) - places
        low = low.index_select(axis, torch.where(places < side, places, back).clamp(0, side - 1))
    return low

"""Small pictures made large, by a run that has learned it."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from ddpm import build
from ddpm.codec.picture import Pixels, picture
from ddpm.config import SamplingConfig, UpscalingConfig
from ddpm.constraints import DDNM, AveragePool
from ddpm.core import Cond, LowResolution
from ddpm.core.seed import derive
from ddpm.data.transform import Geometry
from ddpm.errors import InputError
from ddpm.pipeline.editing.photo import Given, opened, plain
from ddpm.pipeline.editing.variations import as_given
from ddpm.provenance import Option, Work, fingerprint
from ddpm.sampling import SampleNoise, start, steps
from ddpm.sampling.windows import Windows

if TYPE_CHECKING:
    from ddpm.pipeline.labels import Label
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
class Batch:
    """Small pictures of one size, and which of a seed's noise they get.

    Attributes:
        pixels: (B, h, w, C) uint8.
        labels: the class of each by number; None takes the null label.
        indices: (B,).
    """

    pixels: Pixels
    labels: list[int] | None
    indices: list[int]


@torch.no_grad()
def draw(
    pipe: "Pipeline",
    how: SamplingConfig,
    enlarging: Enlarging,
    batch: Batch,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> Pixels:
    """Large pictures, (B, h · scale, w · scale, C) uint8.

    The expected image is held to the small one by ``x0 + A⁺(y - A x0)``, A the mean of each box (Wang et al. 2023,
    eq. 13). Sides that the network does not divide are mirrored at their end, and cut off again.
    """
    pairs, codec = build.build_pairs(pipe.config), build.build_codec(pipe.config)
    assert pairs is not None
    n, height, width, _ = batch.pixels.shape
    rows = pipe.fill(list(range(n))) if small(pipe, height, width) else list(range(n))
    divisor = pipe.config.network.factor // math.gcd(pipe.config.network.factor, pairs.scale)
    low = mirrored(codec.encode(torch.from_numpy(batch.pixels[rows]).to(pipe.device)), divisor)
    image, indices = pairs.enlarge(low), [batch.indices[row] for row in rows]
    shape = tuple(image.shape[1:])
    eps = SampleNoise(derive(seed, "augment"), indices, shape, pipe.device)()
    strength = torch.full((len(rows),), enlarging.augment, device=pipe.device)
    seen = _told(pipe, pairs.noised(image, strength, eps))
    label = pipe.cond([batch.labels[row] for row in rows] if batch.labels else None, len(rows))
    denoise = pipe.denoiser(how, labelled=batch.labels is not None, noise=replace(seen, image=None).rows(slice(0, 1)))
    if any(side > WHOLE * trained for side, trained in zip(shape[1:], pipe.config.data.size, strict=True)):
        denoise = Windows(denoise, tuple(map(min, shape[1:], pipe.config.data.size)))
    if enlarging.consistent:
        denoise = DDNM(denoise, AveragePool(pairs.scale), low)
    solver, grid = build.build_solver(how, pipe.schedule), build.build_grid(how, pipe.schedule)
    randn = SampleNoise(seed, indices, shape, pipe.device)
    x = start(grid[0], randn)
    for step in steps(denoise, solver, grid, x, randn, seen if label is None else label.plus(seen)):
        x = step.x
        if progress is not None:
            progress(step.number, how.steps)
    pixels: Pixels = codec.decode(x[:n, :, : height * pairs.scale, : width * pairs.scale]).cpu().numpy()
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


def small(pipe: "Pipeline", height: int, width: int) -> bool:
    """Whether a picture comes out no larger than the images of training: such are drawn together, others alone."""
    assert pipe.config.upscaling is not None
    scale, size = pipe.config.upscaling.scale, pipe.config.data.size
    return height * scale * width * scale <= size[0] * size[1]


def batches(pipe: "Pipeline", pictures: Sequence[Pixels], most: int) -> Iterator[list[int]]:
    """Pictures that are drawn together, by number: small ones of one size, up to ``most``; each other one alone."""
    alike: dict[tuple[int, ...], list[int]] = {}
    for i, pixels in enumerate(pictures):
        alike.setdefault(pixels.shape, []).append(i)
    for (height, width, _), members in alike.items():
        at_once = most if small(pipe, height, width) else 1
        yield from (members[i : i + at_once] for i in range(0, len(members), at_once))


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for of several pictures.

    Attributes:
        how, enlarging: the settings.
        labels: the class of each by number; None takes the null label.
        seed, indices: picture i gets the noise that is a function of (seed, indices[i]).
        batch: pictures in memory at a time.
    """

    how: SamplingConfig
    enlarging: Enlarging
    labels: list[int] | None
    seed: int
    indices: list[int]
    batch: int


def enlarge(
    pipe: "Pipeline", pictures: Sequence[Pixels], wish: Wish, progress: Callable[[int, int], None] | None = None
) -> list[Pixels]:
    """Each picture (h, w, C) made large: (h · scale, w · scale, C) uint8."""
    parts = list(batches(pipe, pictures, wish.batch))
    made: dict[int, Pixels] = {}
    for done, part in enumerate(parts):
        labels = [wish.labels[i] for i in part] if wish.labels else None
        together = Batch(np.stack([pictures[i] for i in part]), labels, [wish.indices[i] for i in part])

        def report(step: int, of: int, done: int = done) -> None:
            if progress is not None:
                progress(done * of + step, len(parts) * of)

        made |= zip(part, draw(pipe, wish.how, wish.enlarging, together, wish.seed, report), strict=True)
    return [made[i] for i in range(len(pictures))]


def upscale(
    pipe: "Pipeline",
    images: Given | Sequence[Given],
    *,
    label: "Label | Sequence[Label] | None" = None,
    seed: int = 0,
    indices: Sequence[int] | None = None,
    augment: float | None = None,
    consistent: bool | None = None,
    batch: int = 64,
    progress: Callable[[int, int], None] | None = None,
    **settings: Any,
) -> Image.Image | list[Image.Image]:
    """Small pictures of any size made large, by a run of super-resolution.

    Args:
        images: pictures or their files, one or several.
        label: what they show, one for all or one each; None takes the null label.
        seed, indices: picture i gets the noise that is a function of (seed, i), or of (seed, indices[i]).
        augment: noise on the enlarged picture before the network sees it, 0 to the run's ``s_max``.
        consistent: whether the mean of each box of the result is the small picture's pixel; on without augment.
        batch: pictures in memory at a time; those larger than in training are drawn one by one.
        progress: called with (network steps done, in all).
        settings: the keys of :class:`SamplingConfig`; the run's own where not given.

    Returns:
        a picture if one was given, else a list: of the run's mode, ``scale`` times as high and wide, each with its
        :class:`Provenance`.

    Raises:
        InputError: the run has not learned this, or something that cannot be used.
    """
    if pipe.config.upscaling is None:
        raise InputError(f"{pipe.source} has not learned to make small images large; give a run of super-resolution")
    given = [images] if isinstance(images, Image.Image | str | Path) else list(images)
    if not given:
        raise InputError("no picture was given; give at least one")
    if batch < 1:
        raise InputError(f"batch must be at least 1, not {batch}")
    which = list(range(len(given))) if indices is None else list(indices)
    if len(which) != len(given):
        raise InputError(f"{len(which)} indices were given for {len(given)} images; give one each")
    for key in ("classifier", "guide_with", "size", "whole"):
        if settings.get(key) is not None:
            raise InputError(f"{key} {settings[key]} has no effect where small images are made large; leave it out")
    ready, how, labels = pipe.asked(settings, label, len(given))
    wish = Wish(how, Enlarging.settle(pipe.config.upscaling, augment, consistent), labels, seed, which, batch)
    named = [opened(one) for one in given]
    pictures = [Geometry(mode=pipe.config.data.mode).apply(plain(image)) for _, image in named]
    made = []
    for i, large in enumerate(enlarge(ready, pictures, wish, progress)):
        work = _work(*named[i], wish.enlarging, which[i])
        shown = None if labels is None else ready.classes[labels[i]]
        made.append(ready.record(how, shown, seed, which[i], work).attach(picture(large)))
    return as_given(images, made)


def _work(name: str, image: Image.Image, enlarging: Enlarging, index: int) -> Work:
    options: dict[str, Option] = {**asdict(enlarging), "index": index}
    return Work(command="upscale", given={name: fingerprint(image)}, options=options)

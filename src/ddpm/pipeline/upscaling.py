"""Small pictures made large, by a run that has learned it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from PIL import Image

from ddpm.pipeline.editing.photo import Given, Photo, opened, several, unfitted
from ddpm.pipeline.editing.variations import as_given
from ddpm.pipeline.enlarging import Enlarging, Small, enlarge
from ddpm.pipeline.indices import chosen
from ddpm.records.provenance import Option, Work, fingerprint
from ddpm.system.errors import InputError
from ddpm.system.progress import Progress, silent

if TYPE_CHECKING:
    from ddpm.pipeline.labels import Label
    from ddpm.pipeline.pipeline import Pipeline
    from ddpm.pipeline.settings import Asked


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
    progress: Progress = silent,
    watch: Callable[[int, Image.Image], None] | None = None,
    **settings: Any,
) -> Image.Image | list[Image.Image]:
    """Small pictures of any size made large, by a run of super-resolution.

    An alpha that the run does not know is enlarged by interpolation; a depth of 16 bits stays, with values that are
    multiples of 257.

    Args:
        images: pictures or their files, one or several, of the run's mode.
        label: what they show, one for all or one each; None takes the null label.
        seed, indices: picture i gets the noise that is a function of (seed, i), or of (seed, indices[i]).
        augment: noise on the enlarged picture before the network sees it, 0 to the run's ``s_max``.
        consistent: whether the mean of each box of the result is the small picture's pixel; on without augment.
        batch: pictures in memory at a time; those larger than in training are drawn one by one.
        progress: called with (network steps done, in all).
        watch: called with the number of each picture and the large one when it is made; pictures of one size are made
            together.
        settings: the keys of :class:`SamplingConfig`; the run's own where not given.

    Returns:
        a picture if one was given, else a list: ``scale`` times as high and wide, each with its :class:`Provenance`.

    Raises:
        InputError: the run has not learned this, or something that cannot be used.
    """
    given = several(images)
    which = chosen(indices, len(given))
    (ready, how, labels), enlarging = settled(pipe, settings, label, len(given), augment, consistent)
    mode = pipe.config.data.mode
    photos = [unfitted(*opened(one), mode, f"convert it to {mode}") for one in given]
    smalls = [
        Small(photo.pixels, index, labels[i] if labels else None)
        for i, (photo, index) in enumerate(zip(photos, which, strict=True))
    ]
    made: dict[int, Image.Image] = {}
    for i, large in enlarge(ready, how, enlarging, smalls, seed, batch, progress):
        photo, small = photos[i], smalls[i]
        shown = None if small.label is None else ready.classes[small.label]
        record = ready.record(how, shown, seed, small.index, _work(photo, enlarging, small.index))
        made[i] = record.attach(photo.redrawn(large))
        if watch is not None:
            watch(i, made[i])
    return as_given(images, [made[i] for i in range(len(given))])


def settled(
    pipe: "Pipeline",
    settings: Mapping[str, Any],
    label: "Label | Sequence[Label] | None",
    n: int,
    augment: float | None = None,
    consistent: bool | None = None,
) -> "tuple[Asked, Enlarging]":
    """What n pictures are made large by.

    Raises:
        InputError: the run has not learned this, or settings or labels that cannot be used or have no effect.
    """
    if pipe.config.upscaling is None:
        raise InputError(f"{pipe.source} has not learned to make small images large; give a run of super-resolution")
    for key in ("classifier", "guide_with", "size", "whole"):
        if settings.get(key) is not None:
            raise InputError(f"{key} {settings[key]} has no effect where small images are made large; leave it out")
    return pipe.asked(settings, label, n), Enlarging.settle(pipe.config.upscaling, augment, consistent)


def _work(photo: Photo, enlarging: Enlarging, index: int) -> Work:
    options: dict[str, Option] = {**asdict(enlarging), "index": index}
    return Work(command="upscale", given=((photo.name, fingerprint(photo.given)),), options=options)

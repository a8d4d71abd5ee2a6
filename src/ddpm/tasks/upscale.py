"""Upscale pictures with a super-resolution run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from PIL import Image

from ddpm.engine.indices import chosen
from ddpm.engine.labels import Label
from ddpm.engine.options import Asked, asked
from ddpm.engine.run import LoadedRun
from ddpm.engine.subjects import Subjects
from ddpm.images.photo import SEEN, Several, opened, several, unfitted
from ddpm.records.provenance import Work, image_hash
from ddpm.sampling import rows_of
from ddpm.system.errors import InputError
from ddpm.system.progress import Progress, silent
from ddpm.tasks.enlarging import Enlarging, enlarge_all
from ddpm.tasks.variations import as_given


def upscale(
    run: LoadedRun,
    images: Several,
    *,
    label: Label | Sequence[Label] | None = None,
    prompt: str | Sequence[str] | None = None,
    seed: int = 0,
    indices: Sequence[int] | None = None,
    augment: float | None = None,
    consistent: bool | None = None,
    batch: int = 64,
    progress: Progress = silent,
    watch: Callable[[int, Image.Image], None] | None = None,
    **settings: Any,
) -> Image.Image | list[Image.Image]:
    """Upscale pictures of any size with a super-resolution run.

    If the run has no alpha channel, the pictures' own is interpolated; 16-bit pictures stay 16-bit, with multiples of
    257 as values.

    Args:
        images: pictures or their files, one or several, of the run's mode.
        label: the class of all pictures, or one each; None uses the null label.
        prompt: the description of all pictures, or one each.
        seed, indices: the noise of picture i is a function of (seed, i), or of (seed, indices[i]).
        augment: noise added to the enlarged picture before the network sees it, 0 to the run's ``s_max``.
        consistent: whether the mean of each box of the result equals the small picture's pixel; on without augment.
        batch: pictures in memory at a time; those larger than in training are drawn one by one.
        progress: called with (network steps done, total).
        watch: called with the number of each picture and its result when ready; pictures of the same size are drawn
            together.
        settings: the keys of :class:`SamplingConfig`; the run's own by default.

    Returns:
        a picture if one was given, else a list: ``scale`` times as high and wide, each with its :class:`Provenance`.

    Raises:
        InputError: the run is not for super-resolution, or unusable pictures, labels or settings.
    """
    given = several(images)
    which = chosen(indices, len(given))
    needed, enlarging = settled(run, settings, label, len(given), augment, consistent, prompt)
    mode = run.config.data.mode
    photos = [unfitted(*opened(one), mode, f"convert it to {mode}") for one in given]
    smalls, rows = [photo.pixels for photo in photos], rows_of(seed, which)
    made: dict[int, Image.Image] = {}
    for i, large in enlarge_all(needed.run, needed.how, enlarging, smalls, rows, needed.subjects, batch, progress):
        options = {**asdict(enlarging), "index": which[i]}
        work = Work(command="upscale", given=((photos[i].name, image_hash(photos[i].given)),), options=options)
        record = needed.run.record(needed.how, needed.subjects.rows([i]), seed, which[i], work)
        made[i] = record.attach(photos[i].redrawn(large))
        if watch is not None:
            watch(i, made[i])
    return as_given(images, [made[i] for i in range(len(given))])


def settled(
    run: LoadedRun,
    settings: Mapping[str, Any],
    label: Label | Sequence[Label] | None,
    n: int,
    augment: float | None = None,
    consistent: bool | None = None,
    prompt: str | Sequence[str] | None = None,
) -> tuple[Asked, Enlarging]:
    """Resolve the settings, labels and prompts for upscaling n pictures.

    Raises:
        InputError: the run is not for super-resolution, or settings, labels or prompts are invalid or have no effect.
    """
    if run.config.upscaling is None:
        raise InputError("incompatible", f"{run.source} was not trained for super-resolution; use a run that was")
    for key in ("classifier", "guide_with", "size", "whole"):
        if settings.get(key) is not None:
            raise InputError("conflict", f"{key} {settings[key]} has no effect in super-resolution; leave it out")
    return asked(run, settings, label, n, prompt), Enlarging.settle(run.config.upscaling, augment, consistent)


class PassedOn(NamedTuple):
    """The class of each image by name, and its prompt, as :func:`upscale` takes them; None for those not known."""

    label: list[str] | None
    prompt: tuple[str, ...] | None


def passed_on(base: LoadedRun, larger: LoadedRun, subjects: Subjects, n: int) -> PassedOn:
    """Return the classes and the prompts of n images of the first run, as far as the second can use them.

    The two are a cascade (Ho et al. 2021): one draws images, the other upscales them.

    Raises:
        InputError: the second run cannot upscale such images.
    """
    names = [base.classes[label] for label in subjects.labels or []]
    label = names if names and set(names) <= set(larger.classes) else None
    prompt = subjects.prompts if larger.text is not None else None
    settled(larger, {}, label, n, prompt=prompt)
    drawn, taken = base.config.data.mode, larger.config.data.mode
    if drawn not in SEEN[taken]:
        raise InputError(
            "incompatible",
            f"{base.source} generates {drawn} images, but {larger.source} upscales {taken}; use two runs with "
            "the same mode",
        )
    return PassedOn(label, prompt)

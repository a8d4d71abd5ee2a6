"""Interpolate between two pictures, or between two prompts or classes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from PIL import Image

from ddpm.config.sampling import SamplingConfig
from ddpm.core import Cond, Level
from ddpm.engine.labels import Label
from ddpm.engine.options import asked, refuse_null, settings
from ddpm.engine.run import LoadedRun
from ddpm.engine.subjects import NOTHING, Subjects
from ddpm.engine.task import Task
from ddpm.images.photo import Given
from ddpm.images.pixels import Pixels
from ddpm.images.sheets import picture
from ddpm.records.provenance import Work, image_hash
from ddpm.sampling import Randn, rows_of
from ddpm.sampling.interpolation import slerp
from ddpm.system.errors import InputError
from ddpm.system.names import Fit
from ddpm.system.progress import Progress, among, silent
from ddpm.tasks.variations import EditRequest, encoded

FLOW = {"solver": "heun", "grid": "log-snr", "clip": False, "guidance": 1.0}
"""A second-order solver whose steps can be inverted, without clipping and guidance, which cannot be inverted."""


def interpolate(
    run: LoadedRun,
    first: Given,
    last: Given,
    *,
    n: int = 9,
    label: Label | Sequence[Label] | None = None,
    prompt: str | Sequence[str] | None = None,
    steps: int = 50,
    fit: Fit | None = None,
    batch: int = 64,
    progress: Progress = silent,
) -> list[Image.Image]:
    """Interpolate in n pictures from one to the other, through their noise (Song et al. 2021, sec. 5.3).

    Both are inverted along the probability flow, and images are sampled from points on the great circle between the two
    noises. The first and last result are reconstructions of the given pictures.

    Args:
        first, last: two pictures of the same size, that of the run or larger.
        label: the class of both, or of each; between two labels the embeddings are interpolated linearly.
        prompt: the description of both, or of each, interpolated likewise.
        steps: the number of steps to invert, and again to sample.
        batch: pictures in memory at a time.
        progress: called with (steps done, total).

    Raises:
        InputError: unusable pictures, labels, prompts or numbers.
    """
    _check(run, n, batch)
    run.refuse_student("interpolation")
    request = EditRequest(n, fit=fit, batch=batch, progress=progress)
    photos = request.photos([first, last], run.config.data.size, run.config.data.mode)
    if photos[0].size != photos[1].size:
        (h, w), (other_h, other_w) = (photo.size for photo in photos)
        raise InputError(
            "incompatible",
            f"{photos[0].name} is {h} × {w}, but {photos[1].name} is {other_h} × {other_w}; use pictures of the same "
            "size, or --fit crop",
        )
    how = settings(run, {**FLOW, "steps": steps, "size": photos[0].size})
    subjects = run.subjects(label, prompt, 2)
    refuse_null(run, how, subjects)
    drawn = _between(run, how, encoded(run, photos, [0, 1]), subjects, request)
    work = Work(
        command="interpolate",
        given=tuple((photo.name, image_hash(photo.given)) for photo in photos),
        options={"n": n, **_named(run, subjects), "steps": steps, "fit": fit},
        drawn=False,
    )
    return [run.record(how, NOTHING, 0, k, work).attach(picture(pixels)) for k, pixels in enumerate(drawn)]


def interpolate_conditions(
    run: LoadedRun,
    *,
    n: int = 9,
    label: Label | Sequence[Label] | None = None,
    prompt: str | Sequence[str] | None = None,
    seed: int = 0,
    batch: int = 64,
    progress: Progress = silent,
    **given: Any,
) -> list[Image.Image]:
    """Sample n images of the same noise, from one prompt or class to another.

    Args:
        label: the class of all images, or of the first and the last; between these the embeddings are interpolated.
        prompt: the description of all images, or of the first and the last, interpolated likewise.
        seed: the noise of all images is that of image 0 of this seed.
        batch: images in memory at a time.
        progress: called with (network steps done, total).
        given: the keys of :class:`SamplingConfig`; the run's own by default.

    Raises:
        InputError: unusable labels, prompts, settings or numbers.
    """
    _check(run, n, batch)
    if not any(isinstance(one, list | tuple) and len(one) == 2 for one in (label, prompt)):
        raise InputError("missing", "nothing to interpolate between; give two pictures, two prompts or two labels")
    ends = asked(run, given, label, 2, prompt)
    run, how, subjects, parts = ends.run, ends.how, ends.subjects, _parts(n, batch)
    if how.classifier is not None and len({*(subjects.labels or ())}) > 1:
        raise InputError("conflict", "a classifier guides to one class, not between two; leave classifier out")
    work = Work(command="interpolate", given=(), options={"n": n, **_named(run, subjects)})
    made: list[Image.Image] = []
    for done, part in enumerate(parts):

        def task(at: list[int], part: range = part) -> Task:
            return Task(condition=_towards(run, how, subjects, _shares(part, at, n)))

        first, rows = subjects.rows([0] * len(part)), rows_of(seed, [0] * len(part))
        conditions, guides = run.conditions(first), run.guides(how, first)
        drawn = run.engine.draw(how, rows, conditions, guides, task=task, progress=among(progress, done, len(parts)))
        made += [run.record(how, NOTHING, seed, 0, work).attach(picture(pixels)) for pixels in drawn]
    return made


def _check(run: LoadedRun, n: int, batch: int) -> None:
    if n < 2:
        raise InputError("invalid", f"n is {n}; use at least 2, for the two ends")
    if batch < 1:
        raise InputError("invalid", f"batch is {batch}; use at least 1")
    run.refuse_super_resolution()


def _named(run: LoadedRun, subjects: Subjects) -> dict[str, tuple[str, ...] | None]:
    """The classes and the prompts of both ends as options of the command."""
    labels = None if subjects.labels is None else tuple(run.classes[k] for k in subjects.labels)
    return {"label": labels, "prompt": subjects.prompts}


def _parts(n: int, batch: int) -> list[range]:
    return [range(n)[first : first + batch] for first in range(0, n, batch)]


def _shares(part: range, at: list[int], n: int) -> torch.Tensor:
    """The share of the last end in the images at these positions of a part of n images."""
    return torch.tensor([part[i] for i in at]) / (n - 1)


def _towards(
    run: LoadedRun, how: SamplingConfig, subjects: Subjects, share: torch.Tensor
) -> Callable[[Cond | None], Cond | None]:
    """Interpolate the conditions of the first end with those of the last."""

    def condition(cond: Cond | None) -> Cond | None:
        end = subjects.rows([1])
        last, between = (
            None if given is None else run.engine.cond(given, [0] * len(share), how)
            for given in (run.conditions(end), run.guides(how, end).between)
        )
        return None if cond is None or last is None else cond.lerp(replace(last, between=between), share)

    return condition


def _between(
    run: LoadedRun, how: SamplingConfig, ends: torch.Tensor, subjects: Subjects, request: EditRequest
) -> Iterator[Pixels]:
    """Yield the pixels of each picture, (H, W, C) uint8, between two images (2, C, H, W)."""
    engine, n = run.engine, request.n
    parts = _parts(n, request.batch)
    of = 1 + len(parts)
    noises = engine.invert(how, ends, run.conditions(subjects), among(request.progress, 0, of))

    def task(part: range, at: list[int]) -> Task:
        share = _shares(part, at, n)

        def begin(level: Level, randn: Randn) -> torch.Tensor:
            one, other = (noises[[end] * len(at)] for end in (0, 1))
            return slerp(one, other, share)

        return Task(begin=begin, condition=_towards(run, how, subjects, share))

    for done, part in enumerate(parts, 1):
        first = run.conditions(subjects.rows([0] * len(part)))
        rows, report = rows_of(0, part), among(request.progress, done, of)
        yield from engine.draw(how, rows, first, task=partial(task, part), progress=report)

"""Interpolate between two pictures."""

from collections.abc import Iterator, Sequence
from functools import partial

import torch
from PIL import Image

from ddpm.config.sampling import SamplingConfig
from ddpm.core import Cond, Level
from ddpm.engine.labels import Label
from ddpm.engine.options import settings
from ddpm.engine.run import LoadedRun
from ddpm.engine.task import Task
from ddpm.images.photo import Given
from ddpm.images.pixels import Pixels
from ddpm.images.sheets import picture
from ddpm.records.provenance import Work, fingerprint
from ddpm.sampling import Randn, rows_of
from ddpm.sampling.interpolation import slerp
from ddpm.system.errors import InputError
from ddpm.system.names import Fit
from ddpm.system.progress import Progress, among, silent
from ddpm.tasks.variations import EditRequest, encoded

FLOW = {"solver": "heun", "grid": "log-snr", "clip": False, "guidance": 1.0}
"""A second-order solver whose steps can be inverted, without clipping and guidance, which cannot."""


def interpolate(
    run: LoadedRun,
    first: Given,
    last: Given,
    *,
    n: int = 9,
    label: Label | Sequence[Label] | None = None,
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
        steps: the number of steps to invert, and again to sample.
        batch: pictures in memory at a time.
        progress: called with (steps done, total).

    Raises:
        InputError: unusable pictures, labels or numbers.
    """
    if n < 2:
        raise InputError("invalid", f"n is {n}; use at least 2, for the two ends")
    run.refuse_given()
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
    labels = run.labels(label, 2)
    drawn = _between(run, how, encoded(run, photos, [0, 1]), labels, request)
    named = None if labels is None else tuple(run.classes[k] for k in labels)
    work = Work(
        command="interpolate",
        given=tuple((photo.name, fingerprint(photo.given)) for photo in photos),
        options={"n": n, "label": named, "steps": steps, "fit": fit},
        drawn=False,
    )
    return [run.record(how, None, 0, k, work).attach(picture(pixels)) for k, pixels in enumerate(drawn)]


def _between(
    run: LoadedRun, how: SamplingConfig, ends: torch.Tensor, labels: list[int] | None, request: EditRequest
) -> Iterator[Pixels]:
    """Yield the pixels of each picture, (H, W, C) uint8, between two images (2, C, H, W)."""
    engine, n = run.engine, request.n
    parts = [range(n)[first : first + request.batch] for first in range(0, n, request.batch)]
    of = 1 + len(parts)
    noises = engine.invert(how, ends, run.conditions(labels), among(request.progress, 0, of))

    def task(part: range, at: list[int]) -> Task:
        share = torch.tensor([part[i] for i in at]) / (n - 1)

        def begin(level: Level, randn: Randn) -> torch.Tensor:
            one, other = (noises[[end] * len(at)] for end in (0, 1))
            return slerp(one, other, share)

        def condition(cond: Cond | None) -> Cond | None:
            last = engine.cond(run.conditions(labels), [1] * len(at), how)
            return None if cond is None or last is None else cond.lerp(last, share)

        return Task(begin=begin, condition=condition)

    for done, part in enumerate(parts, 1):
        first = run.conditions(labels and labels[:1] * len(part))
        rows, report = rows_of(0, part), among(request.progress, done, of)
        yield from engine.draw(how, rows, first, task=partial(task, part), progress=report)

"""Pictures changed as much as one likes."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from PIL import Image

from ddpm.config.sampling import SamplingConfig
from ddpm.core import Level, Schedule
from ddpm.core.gaussian import diffuse
from ddpm.core.schedule import timestep_of
from ddpm.engine.run import LoadedRun
from ddpm.engine.task import Task
from ddpm.images.photo import Several
from ddpm.sampling import Randn
from ddpm.system.errors import InputError
from ddpm.tasks.variations import EditRequest, as_given, encoded, settle, variations

NEAR = 0.1
"""The least share of a step of the grid that is taken: solvers that remember divide differences of expected images by
the steps between them, and a step of nearly nothing magnifies the rounding of the network."""


def edit(run: LoadedRun, images: Several, strength: float, **asked: Any) -> Image.Image | list[Image.Image]:
    """Pictures with so much noise added, and drawn from there (SDEdit; Meng et al. 2022).

    An alpha that the run does not know stays as it is; so does a depth of 16 bits, whose values are then multiples of
    257.

    Args:
        strength: 0 gives the pictures back as they came, 1 keeps nothing of them and is a new sample; in between the
            noise is that of the timestep ``strength · T``, and the grid's steps below it are taken.
        images, asked: see :func:`~ddpm.tasks.inpaint.inpaint`.

    Raises:
        InputError: a strength outside of [0, 1], or pictures or settings that cannot be used.
    """
    if not 0 <= strength <= 1:
        raise InputError(
            "invalid", f"strength must be between 0 (the picture itself) and 1 (a new one), not {strength:g}"
        )
    request = EditRequest.of(asked)
    photos = request.photos(images, run.config.data.size, run.config.data.mode)
    if not strength:
        settle(run, request, photos)  # what cannot be used is refused all the same
        return as_given(images, [photo.image.copy() for photo in photos for _ in range(request.n)])

    def task(how: SamplingConfig, rows: list[int]) -> Task:
        if strength == 1:
            return Task()
        x0 = encoded(run, photos, rows)

        def begin(level: Level, randn: Randn) -> torch.Tensor:
            return diffuse(x0, randn(), level)

        return Task(levels=below(strength, run.engine.grid(how), run.engine.schedule), begin=begin)

    works = [request.work("edit", photo, strength=strength) for photo in photos]
    made = variations(run, photos, request, works, task)
    return as_given(images, [new.record.attach(photos[new.of].redrawn(new.pixels)) for new in made])


def below(strength: float, levels: Sequence[Level], schedule: Schedule) -> list[Level]:
    """The timestep ``strength · T``, at least 1, and those levels of a grid that are cleaner.

    One that the timestep is nearer to than ``NEAR`` of the grid's step around it is left out.
    """
    timestep = max(1.0, strength * schedule.T)
    first = schedule.level(timestep)

    def far(high: Level, low: Level) -> bool:
        if low.clean or high.snr > first.snr:
            return True
        start, end = timestep_of(schedule, high), timestep_of(schedule, low)
        return timestep - end > NEAR * (start - end)

    steps = pairwise([schedule.level(schedule.T), *levels])
    return [first, *(low for high, low in steps if low.snr > first.snr and far(high, low))]

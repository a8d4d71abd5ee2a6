"""Edit pictures by adding noise and denoising them (SDEdit)."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from PIL import Image

from ddpm.config.sampling import SamplingConfig
from ddpm.core import Level, Schedule
from ddpm.core.gaussian import diffuse
from ddpm.core.schedule import timestep_of
from ddpm.engine.run import LoadedRun
from ddpm.engine.task import Task
from ddpm.images.photo import Several
from ddpm.system.errors import InputError
from ddpm.tasks.variations import EditRequest, as_given, encoded, settle, variations

NEAR = 0.1
"""The shortest first step, as a fraction of a step of the grid: multistep solvers divide differences of expected images
by the steps between them, so a tiny step would magnify the network's rounding errors."""


def edit(run: LoadedRun, images: Several, strength: float, **asked: Any) -> Image.Image | list[Image.Image]:
    """Add noise to pictures and sample from there (SDEdit; Meng et al. 2022).

    If the run has no alpha channel, the pictures' own is kept; 16-bit pictures stay 16-bit, with values that are
    multiples of 257.

    Args:
        strength: from 0, which returns the pictures unchanged, to 1, which keeps nothing of them; in between, noise of
            timestep ``strength · T`` is added, and sampling takes the grid's steps below it.
        images, asked: see :func:`~ddpm.tasks.inpaint.inpaint`.

    Raises:
        InputError: a strength outside [0, 1], or unusable pictures or settings.
    """
    if strength is None:
        raise InputError("missing", "strength is missing; use 0 (the picture itself) to 1 (a new sample)")
    if not 0 <= strength <= 1:
        raise InputError(
            "invalid", f"strength {strength:g} is out of range; use 0 (the picture itself) to 1 (a new sample)"
        )
    request = EditRequest.of(asked)
    photos = request.photos(images, run.config.data.size, run.config.data.mode)
    if not strength:
        settle(run, request, photos)  # invalid input is refused even if nothing is sampled
        return as_given(images, [photo.image.copy() for photo in photos for _ in range(request.n)])

    def task(how: SamplingConfig, rows: list[int]) -> Task:
        if strength == 1:
            return Task()
        x0 = encoded(run, photos, rows)
        levels = below(strength, run.engine.grid(how), run.engine.schedule)
        return Task(levels, begin=lambda level, randn: diffuse(x0, randn(), level))

    works = [request.work("edit", photo, strength=strength) for photo in photos]
    return as_given(images, variations(run, photos, request, works, task))


def below(strength: float, levels: Sequence[Level], schedule: Schedule) -> list[Level]:
    """Return the level of timestep ``strength · T``, at least 1, and the cleaner levels of a grid.

    A level closer to that timestep than ``NEAR`` of the grid's step around it is left out.
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

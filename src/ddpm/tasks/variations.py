"""Draw new versions of given pictures: the part that all picture tasks share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np
import torch
from PIL import Image

from ddpm.config.sampling import SamplingConfig
from ddpm.engine.batches import batches
from ddpm.engine.labels import Label
from ddpm.engine.options import Asked, asked
from ddpm.engine.run import LoadedRun
from ddpm.engine.task import Task
from ddpm.images.photo import Fill, Photo, Several, alone, read, several
from ddpm.records.provenance import Option, Work, image_hash
from ddpm.sampling.follow import Moment
from ddpm.system.errors import InputError
from ddpm.system.names import Fit, Mode
from ddpm.system.progress import Progress, among, silent
from ddpm.tasks.seam import blended


@dataclass(frozen=True)
class EditRequest:
    """A request for new versions of pictures.

    Attributes:
        n: the number of new pictures for each given one.
        label: the class of all new pictures, or one for each given picture.
        prompt: the description of all new pictures, or one for each given picture.
        seed: new picture k of given picture j is a function of the seed and j · n + k.
        fit: how to convert given pictures to the run's size and mode, as in training; None leaves them unchanged.
        batch: pictures in memory at a time.
        progress: called with (network steps done, total).
        watch: called with each moment of each batch.
        settings: the keys of :class:`SamplingConfig`; the run's own by default.
    """

    n: int = 1
    label: Label | Sequence[Label] | None = None
    prompt: str | Sequence[str] | None = None
    seed: int = 0
    fit: Fit | None = None
    batch: int = 64
    progress: Progress = silent
    watch: Callable[[Moment], None] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.n < 1:
            raise InputError("invalid", f"n is {self.n}; use at least 1")
        if self.batch < 1:
            raise InputError("invalid", f"batch is {self.batch}; use at least 1")
        if "size" in self.settings:
            raise InputError("conflict", "size has no effect here, as it follows from the given pictures; leave it out")

    @classmethod
    def of(cls, asked: Mapping[str, Any]) -> Self:
        """Make a request from keywords: those that are not attributes are settings."""
        own = {f.name for f in fields(cls)} - {"settings"}
        given = {name: value for name, value in asked.items() if name in own}
        return cls(**given, settings={name: value for name, value in asked.items() if name not in own})

    def photos(self, images: Several, size: tuple[int, int], mode: Mode) -> list[Photo]:
        """Read the given pictures for a run of this size and mode.

        Raises:
            InputError: there are none, or one that the run cannot use.
        """
        return [read(one, size, mode, self.fit) for one in several(images)]

    def work(self, command: str, photo: Photo, fill: Fill | None = None, /, **options: Option) -> Work:
        """Record what a command does with a picture, or with the area of it that a given mask leaves to fill."""
        given = ((photo.name, image_hash(photo.given)),)
        mask = None if fill is None else image_hash(Image.fromarray(fill))
        return Work(command=command, given=given, options=options | {"fit": self.fit}, mask=mask)


def variations(
    run: LoadedRun,
    photos: Sequence[Photo],
    request: EditRequest,
    works: Sequence[Work],
    task: Callable[[SamplingConfig, list[int]], Task],
    factor: int = 1,
    fills: Sequence[Fill] | None = None,
) -> list[Image.Image]:
    """Draw n new versions of each picture, in order; those of the same size are drawn together.

    Args:
        works: the record of each picture's task.
        task: (settings, the numbers of the given pictures in a batch, all of one size) -> how sampling is modified.
        factor: how many times larger the new pictures are.
        fills: the area to replace in each picture; None replaces all colours.

    Raises:
        InputError: unusable numbers, labels or settings.
    """
    owners = [j for j in range(len(photos)) for _ in range(request.n)]
    parts = batches((photos[j].size for j in owners), lambda i: request.batch)
    of_size = settle(run, request, photos, factor)
    made: dict[int, Image.Image] = {}
    for number, part in enumerate(parts):
        mine = [owners[i] for i in part]
        given = of_size[photos[mine[0]].size]

        def here(rows: list[int], how: SamplingConfig = given.how, mine: list[int] = mine) -> Task:
            return task(how, [mine[row] for row in rows])

        drawn = given.run.draw(
            given.how,
            given.subjects.rows(mine),
            request.seed,
            part,
            among(request.progress, number, len(parts)),
            request.watch,
            task=here,
        )
        for i, j, pixels in zip(part, mine, drawn, strict=True):
            # reproduced as the last of i + 1 versions of this picture alone
            work = works[j].model_copy(update={"options": works[j].options | {"n": i + 1}})
            photo = photos[j]
            if fills is None:
                image = photo.redrawn(pixels)
            else:
                seamless = blended(pixels, photo.pixels, fills[j], run.config.codec.factor)
                image = photo.with_drawn(seamless, fills[j])
            made[i] = given.run.record(given.how, given.subjects.rows([j]), request.seed, i, work).attach(image)
    return [made[i] for i in range(len(owners))]


def settle(
    run: LoadedRun, request: EditRequest, photos: Sequence[Photo], factor: int = 1
) -> dict[tuple[int, int], Asked]:
    """Resolve the request for each size of the given pictures.

    Raises:
        InputError: labels or settings are invalid or have no effect, or the run is for super-resolution.
    """
    run.refuse_super_resolution()
    sizes = {photo.size: (photo.size[0] * factor, photo.size[1] * factor) for photo in photos}
    if request.settings.get("whole") and set(sizes.values()) == {run.config.data.size}:
        raise InputError("conflict", "whole has no effect on pictures of the run's own size; leave it out")
    return {
        own: asked(run, {**request.settings, "size": size}, request.label, len(photos), request.prompt)
        for own, size in sizes.items()
    }


def as_given(images: Several, made: list[Image.Image]) -> Image.Image | list[Image.Image]:
    """Return one picture if one was given, else a list."""
    return made[0] if alone(images) and len(made) == 1 else made


def encoded(run: LoadedRun, photos: Sequence[Photo], rows: Sequence[int]) -> torch.Tensor:
    """Encode the given pictures of these numbers for the model: x0 (B, C, H, W)."""
    return run.engine.encoded(np.stack([photos[row].pixels for row in rows]))

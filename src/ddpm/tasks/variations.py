"""New pictures of given ones: what all that is done with pictures has in common."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from PIL import Image

from ddpm.config.sampling import SamplingConfig
from ddpm.engine.batches import batches
from ddpm.engine.labels import Label
from ddpm.engine.options import Asked, asked
from ddpm.engine.run import LoadedRun
from ddpm.engine.task import Task
from ddpm.images.photo import Photo, Several, alone, read, several
from ddpm.images.pixels import Pixels
from ddpm.records.provenance import Option, Provenance, Work, fingerprint
from ddpm.system.errors import InputError
from ddpm.system.names import Fit, Mode
from ddpm.system.progress import Progress, among, silent


@dataclass(frozen=True)
class EditRequest:
    """How many new pictures, of what, and how they are drawn.

    Attributes:
        n: of each given picture.
        label: what the new pictures are: one class for all, or one for each given picture.
        seed: new picture k of given picture j is a function of the seed and j · n + k.
        fit: bring given pictures to the run's size and mode, as training does; None takes them as they are.
        batch: pictures in memory at a time.
        progress: called with (network steps done, in all).
        settings: the keys of :class:`SamplingConfig`, the run's own where not given.
    """

    n: int = 1
    label: Label | Sequence[Label] | None = None
    seed: int = 0
    fit: Fit | None = None
    batch: int = 64
    progress: Progress = silent
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.n < 1:
            raise InputError("invalid", f"n must be at least 1, not {self.n}")
        if self.batch < 1:
            raise InputError("invalid", f"batch must be at least 1, not {self.batch}")
        if "size" in self.settings:
            raise InputError(
                "missing", "size has no effect here: new pictures are as large as the given ones make them"
            )

    @classmethod
    def of(cls, asked: Mapping[str, Any]) -> Self:
        """Of keywords: those that are no attributes are settings."""
        own = {f.name for f in fields(cls)} - {"settings"}
        given = {name: value for name, value in asked.items() if name in own}
        return cls(**given, settings={name: value for name, value in asked.items() if name not in own})

    def photos(self, images: Several, size: tuple[int, int], mode: Mode) -> list[Photo]:
        """The given pictures, read for a run of this size and mode.

        Raises:
            InputError: none, or one that the run cannot change.
        """
        return [read(one, size, mode, self.fit) for one in several(images)]

    def work(self, command: str, photo: Photo, **options: Option) -> Work:
        """What is done with a picture by a command."""
        given = ((photo.name, fingerprint(photo.given)),)
        return Work(command=command, given=given, options=options | {"fit": self.fit})


class New(NamedTuple):
    """A new picture.

    Attributes:
        of: number of the given picture.
        pixels: (H, W, C) uint8, of the run's mode.
        record: how it was made.
    """

    of: int
    pixels: Pixels
    record: Provenance


def variations(
    run: LoadedRun,
    photos: Sequence[Photo],
    request: EditRequest,
    works: Sequence[Work],
    task: Callable[[SamplingConfig, list[int]], Task],
    factor: int = 1,
) -> list[New]:
    """n new pictures of each given one, in their order; those of one size are drawn together.

    Args:
        works: what is done with each.
        task: (settings, the numbers of the given pictures in a batch, all of one size) -> what sampling is bent to.
        factor: how many times larger than the given ones the new ones are.

    Raises:
        InputError: numbers, labels or settings that cannot be used.
    """
    owners = [j for j in range(len(photos)) for _ in range(request.n)]
    parts = batches((photos[j].size for j in owners), lambda i: request.batch)
    of_size = settle(run, request, photos, factor)
    made: dict[int, New] = {}
    for number, part in enumerate(parts):
        mine = [owners[i] for i in part]
        given = of_size[photos[mine[0]].size]
        drawn = given.run.draw(
            given.how,
            [given.labels[j] for j in mine] if given.labels else None,
            request.seed,
            part,
            among(request.progress, number, len(parts)),
            task=partial(_of_owners, task, given.how, mine),
        )
        for i, j, pixels in zip(part, mine, drawn, strict=True):
            # the last of so many new ones of this picture alone
            work = works[j].model_copy(update={"options": works[j].options | {"n": i + 1}})
            label = given.run.classes[given.labels[j]] if given.labels else None
            made[i] = New(j, pixels, given.run.record(given.how, label, request.seed, i, work))
    return [made[i] for i in range(len(owners))]


def settle(
    run: LoadedRun, request: EditRequest, photos: Sequence[Photo], factor: int = 1
) -> dict[tuple[int, int], Asked]:
    """What is asked for, by the size of the given pictures.

    Raises:
        InputError: labels or settings that cannot be used, or that would have no effect, or a run of super-resolution.
    """
    run.refuse_given()
    sizes = {photo.size: (photo.size[0] * factor, photo.size[1] * factor) for photo in photos}
    if request.settings.get("whole") and set(sizes.values()) == {run.config.data.size}:
        raise InputError("missing", "whole has no effect on pictures of the run's own size; leave it out")
    return {
        own: asked(run, {**request.settings, "size": size}, request.label, len(photos)) for own, size in sizes.items()
    }


def _of_owners(
    task: Callable[[SamplingConfig, list[int]], Task], how: SamplingConfig, owners: list[int], rows: list[int]
) -> Task:
    return task(how, [owners[row] for row in rows])


def as_given(images: Several, made: list[Image.Image]) -> Image.Image | list[Image.Image]:
    """One picture of one, a list of several."""
    return made[0] if alone(images) and len(made) == 1 else made


def encoded(run: LoadedRun, photos: Sequence[Photo], rows: Sequence[int]) -> torch.Tensor:
    """Given pictures, by number, as the model sees them: (B, C, H, W) in [-1, 1]."""
    return run.engine.encoded(np.stack([photos[row].pixels for row in rows]))

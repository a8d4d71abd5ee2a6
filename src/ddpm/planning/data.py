"""The images of a run to be: each of them is decoded once."""

from typing import NamedTuple

from ddpm.config.upscaling import DEFAULT_SCALE
from ddpm.data.cache import prepare
from ddpm.data.dataset import Dataset
from ddpm.data.open import open_source
from ddpm.data.pairs import with_low
from ddpm.data.peek import Peek, peek
from ddpm.data.survey import Survey, recall, survey
from ddpm.images.geometry import Geometry
from ddpm.planning.request import Request, whole_number
from ddpm.system.progress import Progress, silent

LARGEST = 128
"""Longest side that is trained on without being asked for."""


class Gathered(NamedTuple):
    """The images of a source, and what was found when they were decoded."""

    found: Survey
    data: Dataset


def gather(request: Request, progress: Progress = silent) -> Gathered:
    """Decode the images that are asked for, or recall them; with their small versions where these are given.

    Headers say which size to bring them to, so that one pass both takes the survey and stores the pixels.

    Raises:
        InputError: they cannot be read, or trained on as asked.
    """
    source = open_source(request.data)
    seen = recall(source) or peek(source)
    if not seen.sizes:
        seen = survey(source, progress=progress)  # decoding says why no image can be used
        seen.check()
    wanted = geometry(seen, request)
    data = prepare(source, wanted, skip_bad=request.skip_bad, progress=progress)
    found = recall(source)
    assert found is not None, "what is prepared has been surveyed"
    if geometry(found, request) != wanted:  # the header of a damaged file said something else
        data = prepare(source, geometry(found, request), skip_bad=request.skip_bad, progress=progress)
    if request.low is not None:
        scale = whole_number("upscaling.scale", request.scale or DEFAULT_SCALE)
        data = with_low(data, request.low, scale, request.fit, skip_bad=request.skip_bad, progress=progress)
    return Gathered(found, data)


def geometry(found: Survey | Peek, request: Request) -> Geometry:
    """What all images are brought to: what was asked, else what they are, if that can be trained.

    Raises:
        InputError: mixed modes without a choice.
    """
    return Geometry(request.size or _natural_size(found.sizes), found.mode(request.mode), request.fit)


def _natural_size(sizes: dict[tuple[int, int], int]) -> tuple[int, int]:
    if len(sizes) == 1:
        (height, width) = next(iter(sizes))
        longest = max(height, width)
        if longest <= LARGEST:
            return height, width
        h, w = (max(16, round(n * LARGEST / longest / 16) * 16) for n in (height, width))
        return h, w
    sides = sorted(min(size) for size, n in sizes.items() for _ in range(n))
    middle = sides[len(sides) // 2]
    side = next((s for s in (64, 32, 16) if s <= middle), 8)
    return side, side

"""The images of a new run, each decoded once."""

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
"""The longest side chosen by default."""


class Gathered(NamedTuple):
    """The images of a source, and the survey made while decoding them."""

    found: Survey
    data: Dataset


def gather(request: Request, progress: Progress = silent) -> Gathered:
    """Decode the requested images, or read them from the cache, with their small versions if given.

    The target size comes from file headers, so that one pass both surveys the images and stores the pixels.

    Raises:
        InputError: they cannot be read, or not be trained on as requested.
    """
    source = open_source(request.data)
    seen = recall(source) or peek(source)
    if not seen.sizes:
        seen = survey(source, progress=progress)  # decoding finds out why no image can be used
        seen.check()
    wanted = geometry(seen, request)
    data = prepare(source, wanted, skip_bad=request.skip_bad, progress=progress)
    found = recall(source)
    assert found is not None, "preparing includes a survey"
    if geometry(found, request) != wanted:  # a damaged file's header was wrong
        data = prepare(source, geometry(found, request), skip_bad=request.skip_bad, progress=progress)
    if request.low is not None:
        scale = whole_number("upscaling.scale", request.scale or DEFAULT_SCALE)
        data = with_low(data, request.low, scale, request.fit, skip_bad=request.skip_bad, progress=progress)
    return Gathered(found, data)


def geometry(found: Survey | Peek, request: Request) -> Geometry:
    """The size and mode of all images: those requested, else their own if these can be trained.

    Raises:
        InputError: the images have several modes and none was chosen.
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

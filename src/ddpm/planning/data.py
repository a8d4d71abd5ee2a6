"""The images of a new run, each decoded once."""

from ddpm.config.upscaling import DEFAULT_SCALE
from ddpm.data.cache import prepare
from ddpm.data.dataset import Dataset
from ddpm.data.open import open_source
from ddpm.data.pairs import with_low
from ddpm.data.report import warnings
from ddpm.data.survey import Survey, one_mode, outline, peek, recall, survey
from ddpm.images.geometry import Geometry
from ddpm.planning.assignments import whole_number
from ddpm.planning.request import Request
from ddpm.system.cache import cache_room
from ddpm.system.names import Mode
from ddpm.system.progress import Progress, silent
from ddpm.system.ranges import nearest_multiple
from ddpm.system.units import say_bytes

LARGEST = 128
"""The longest side chosen by default."""


def gather(request: Request, progress: Progress = silent) -> tuple[Survey, Dataset]:
    """Decode the requested images, or read them from the cache, with their small versions if given.

    The target size comes from file headers, so that one pass both surveys the images and stores the pixels.

    Raises:
        InputError: they cannot be read, or cannot be trained on as requested.
    """
    source = open_source(request.data, request.split, request.max_pixels)
    known = recall(source)
    sizes, modes = (known.sizes, known.modes) if known else peek(source)
    if not sizes:
        known = survey(source, progress=progress)  # decoding finds out why no image can be used
        known.check()
        sizes, modes = known.sizes, known.modes
    wanted = geometry(sizes, modes, request)
    data = prepare(source, wanted, skip_bad=request.skip_bad, progress=progress)
    found = recall(source)
    if data.streamed and found is None:
        classes = dict(zip(data.classes, data.class_counts().tolist(), strict=True))
        found = outline(source, sizes, modes, classes)
    assert found is not None, "preparing includes a survey"
    settled = geometry(found.sizes, found.modes, request)
    if settled != wanted and not data.streamed:  # the header of a damaged file was wrong
        data = prepare(source, settled, skip_bad=request.skip_bad, progress=progress)
    if request.low is not None:
        scale = whole_number("upscaling.scale", request.scale or DEFAULT_SCALE)
        low, fit, split, skip = request.low, request.fit, request.split, request.skip_bad
        data = with_low(data, low, scale, fit, split=split, skip_bad=skip, progress=progress)
    return found, data


def notes(found: Survey, data: Dataset) -> list[str]:
    """Notes on the images, to print before training."""
    lines = warnings(found)
    if data.streamed:
        height, width, channels = data.shape
        needed, room = say_bytes(len(data) * height * width * channels), say_bytes(cache_room())
        lines.append(
            f"streaming images, as all of them decoded need {needed}, and the cache has room for {room}; unusable "
            "ones are replaced by the next and named in the log"
        )
    return lines


def geometry(sizes: dict[tuple[int, int], int], modes: dict[Mode, int], request: Request) -> Geometry:
    """The size and mode of all images: those requested, else their own if a run can be trained on these.

    Args:
        sizes, modes: The counts of each (H, W) and mode.

    Raises:
        InputError: the images have several modes and none was chosen.
    """
    return Geometry(request.size or _natural_size(sizes), request.mode or one_mode(modes), request.fit)


def _natural_size(sizes: dict[tuple[int, int], int]) -> tuple[int, int]:
    if len(sizes) == 1:
        (height, width) = next(iter(sizes))
        longest = max(height, width)
        if longest <= LARGEST:
            return height, width
        h, w = (nearest_multiple(n * LARGEST / longest, 16) for n in (height, width))
        return h, w
    sides = sorted(min(size) for size, n in sizes.items() for _ in range(n))
    middle = sides[len(sides) // 2]
    side = next((s for s in (64, 32, 16) if s <= middle), 8)
    return side, side

"""Surveys of a source: by decoding every image, or by file headers alone."""

from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import TypeVar

import PIL
from pydantic import TypeAdapter

from ddpm.data.source import Read, Source
from ddpm.data.sweep import sweep
from ddpm.images.decode import BadImage, Look, header
from ddpm.system.cache import ADVICE, source_folder
from ddpm.system.errors import InputError
from ddpm.system.files import read_json, write_json
from ddpm.system.names import Mode
from ddpm.system.progress import Progress, silent
from ddpm.system.units import say_some

NAME = f"survey-2-{PIL.__version__}.json"
"""Named by the version of its fields, and of Pillow, as another one may read other files."""
LARGEST = 1 << 32
"""The largest survey that is read, in bytes: it has the names of all images without a caption."""
THREADS = 8
"""Threads that read headers."""

T = TypeVar("T")


@dataclass(frozen=True)
class Survey:
    """Counts over the valid images of a source, most frequent first, and the problems of the others.

    Attributes:
        images: The number of valid images.
        sizes: The count of each (H, W), after EXIF rotation.
        modes: The count of each of L, RGB and RGBA.
        stored: The count of each mode as stored, by Pillow's name.
        bad: The names of the unusable files, and the reasons.
        classes: The count of each class, in the order of the label numbers.
        captions: The number of images with a caption.
        uncaptioned: The images without a caption, if others have one.
        orphans: The captions without an image.
        ignored: The files that are neither images nor captions.
        animated: The number of images with several frames, of which the first is used.
        turned: The number of images rotated by EXIF.
        deep: The number of images stored with 16 bits.
        peak: The largest value, of 65,535, of these.
        recoloured: The number of images converted to sRGB from the space of their colour profile.
        odd_profiles: The number of images whose colour profile cannot be used.
        reduced: The number of images decoded at a fraction of their size.
        duplicates: The number of images that equal an earlier one byte for byte.
        notes: What else there is to say about the files.
    """

    images: int
    sizes: dict[tuple[int, int], int]
    modes: dict[Mode, int]
    stored: dict[str, int]
    bad: dict[str, str]
    classes: dict[str, int]
    captions: int
    uncaptioned: tuple[str, ...]
    orphans: tuple[str, ...]
    ignored: tuple[str, ...]
    animated: int
    turned: int
    deep: int
    peak: int
    recoloured: int
    odd_profiles: int
    reduced: int
    duplicates: int
    notes: tuple[str, ...]

    def check(self, skip_bad: bool = False) -> None:
        """Check that a source can be trained on.

        Raises:
            InputError: if no image is valid, or some are not and ``skip_bad`` is false.
        """
        first = say_some([f"{name}: {reason}" for name, reason in self.bad.items()], 3, "; ")
        if not self.images:
            raise InputError("unreadable", f"none of the {len(self.bad):,} images can be used ({first}); fix them")
        if self.bad and not skip_bad:
            raise InputError(
                "unreadable",
                f"{len(self.bad):,} of {self.images + len(self.bad):,} images cannot be used ({first});"
                " fix them, or add --skip-bad to leave them out",
            )


def one_size(sizes: Mapping[tuple[int, int], int]) -> tuple[int, int]:
    """The common (H, W) of all images.

    Raises:
        InputError: if there are several.
    """
    if len(sizes) > 1:
        counts = ", ".join(f"{n:,} of {h} × {w}" for (h, w), n in list(sizes.items())[:3])
        raise InputError("invalid", f"the images have {len(sizes):,} sizes ({counts} …); choose one with --size")
    return next(iter(sizes))


def one_mode(modes: Mapping[Mode, int]) -> Mode:
    """The common mode of all images.

    Raises:
        InputError: if there are several.
    """
    if len(modes) > 1:
        counts = ", ".join(f"{n:,} {mode}" for mode, n in modes.items())
        raise InputError("invalid", f"the images have mixed modes ({counts}); choose --mode L, RGB or RGBA")
    return next(iter(modes))


def survey(
    source: Source, *, cache_dir: Path | None = None, workers: int | None = None, progress: Progress = silent
) -> Survey:
    """Decode every image of a source, or return the stored survey.

    Raises:
        InputError: if the decoding processes stop.
    """
    if known := recall(source, cache_dir):
        return known
    found = tally(source, (look for look, _ in sweep(source, None, workers, progress)))
    with suppress(OSError, InputError):  # the next survey is slower, nothing else
        remember(source, found, cache_dir)
    return found


def tally(source: Source, looks: Iterable[Look | str]) -> Survey:
    """A survey from one look, or the reason for a failure, per item."""
    pairs = list(zip(source.items, looks, strict=True))
    good = [look for _, look in pairs if isinstance(look, Look)]
    items = [item for item, look in pairs if isinstance(look, Look)]
    labels = Counter(item.label for item in items)
    uncaptioned = tuple(item.name for item in items if item.caption is None)
    captions = len(good) - len(uncaptioned)
    return Survey(
        images=len(good),
        sizes=_counts(look.size for look in good),
        modes=_counts(look.mode for look in good),
        stored=_counts(look.stored for look in good),
        bad={**source.broken, **{item.name: look for item, look in pairs if isinstance(look, str)}},
        classes={name: labels[name] for name in source.classes},
        captions=captions,
        uncaptioned=uncaptioned if captions else (),
        orphans=source.orphans,
        ignored=source.ignored,
        animated=sum(look.animated for look in good),
        turned=sum(look.turned for look in good),
        deep=sum(look.deep for look in good),
        peak=max((look.peak for look in good), default=0),
        recoloured=sum(look.recoloured is True for look in good),
        odd_profiles=sum(look.recoloured is None for look in good),
        reduced=sum(look.reduced for look in good),
        duplicates=len(good) - len({look.digest for look in good}),
        notes=source.notes,
    )


def peek(source: Source) -> tuple[dict[tuple[int, int], int], dict[Mode, int]]:
    """Count the sizes and the modes in the headers of all images, which may differ from a damaged file's image."""
    if source.size is None:
        seen = [header(source.read(source.items[0].name))] * len(source)
    else:
        with ThreadPoolExecutor(THREADS) as pool:
            found = pool.map(partial(_header, source.read, source.max_pixels), (item.name for item in source.items))
            seen = [one for one in found if one is not None]
    return _counts(size for size, _ in seen), _counts(mode for _, mode in seen)


def _header(read: Read, most: int, name: str) -> tuple[tuple[int, int], Mode] | None:
    try:
        return header(read(name), most)
    except (BadImage, OSError):
        return None


def _counts(values: Iterable[T]) -> dict[T, int]:
    """The count of each value, most frequent first."""
    return dict(Counter(values).most_common())


def remember(source: Source, found: Survey, cache_dir: Path | None = None) -> None:
    """Store a survey in the cache folder of its source."""
    lists = {"sizes": [(h, w, n) for (h, w), n in found.sizes.items()], "bad": list(found.bad.items())}
    write_json(source_folder(source.key, cache_dir) / NAME, asdict(found) | lists, ADVICE)


def recall(source: Source, cache_dir: Path | None = None) -> Survey | None:
    """The stored survey of a source, if any."""
    fields = read_json(source_folder(source.key, cache_dir) / NAME, LARGEST)
    # a source's key covers only its images and their captions: other files may have changed since the survey
    now = {"orphans": source.orphans, "ignored": source.ignored, "notes": source.notes}
    try:
        sizes = {(h, w): n for h, w, n in fields["sizes"]}
        found: Survey = _stored().validate_python(fields | now | {"sizes": sizes, "bad": dict(fields["bad"])})
        return found
    except (ValueError, KeyError, TypeError):  # missing or damaged
        return None


@cache
def _stored() -> TypeAdapter[Survey]:
    return TypeAdapter(Survey)

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

from ddpm.data.repeats import Repeats
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
"""The name has the version of the fields and of Pillow, as another Pillow may read other files."""
LARGEST = 1 << 32
"""The largest survey that is read, in bytes: it has the names of all images without a caption."""
LISTED = 1000
"""The most names of images without a caption that are kept."""
PEEKED = 4096
"""The most headers that are read of a source whose columns are stored, evenly spread."""
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
        uncaptioned: The first images without a caption, if others have one.
        orphans: The captions without an image.
        ignored: The files that are neither images nor captions.
        animated: The number of images with several frames, of which the first is used.
        turned: The number of images rotated by EXIF.
        deep: The number of images stored with 16 bits.
        peak: The largest value, of 65,535, of these.
        recoloured: The number of images converted to sRGB from the space of their colour profile.
        odd_profiles: The number of images whose colour profile cannot be used.
        reduced: The number of images decoded at a fraction of their size.
        duplicates: The number of images that equal an earlier one byte for byte; an estimate for millions.
        notes: Further remarks on the files.
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

    @property
    def examples(self) -> list[tuple[str, str]]:
        """The unusable files and the reasons, one of each reason first."""
        before = Counter[str]()
        ranked = []
        for name, reason in self.bad.items():
            ranked.append((before[reason], name, reason))
            before[reason] += 1
        return [(name, reason) for _, name, reason in sorted(ranked, key=lambda one: one[0])]

    def check(self, skip_bad: bool = False) -> None:
        """Check that a source can be trained on.

        Raises:
            InputError: if no image is valid, or some are not and ``skip_bad`` is false.
        """
        first = say_some([f"{name}: {reason}" for name, reason in self.examples], 3, "; ")
        if not self.images:
            raise InputError("unreadable", f"none of the {len(self.bad):,} files can be used ({first}); fix them")
        if self.bad and not skip_bad:
            raise InputError(
                "unreadable",
                f"{len(self.bad):,} of {self.images + len(self.bad):,} files cannot be used ({first});"
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
    with suppress(OSError, InputError):  # only makes the next survey slower
        remember(source, found, cache_dir)
    return found


def tally(source: Source, looks: Iterable[Look | str]) -> Survey:
    """A survey from one look, or the reason for a failure, per item."""
    sizes, modes, stored = Counter[tuple[int, int]](), Counter[Mode](), Counter[str]()
    labels, odd, repeats = Counter[str | None](), Counter[str](), Repeats()
    bad, uncaptioned, captions, peak = dict[str, str](), list[str](), 0, 0
    for item, look in zip(source.items, looks, strict=True):
        if isinstance(look, str):
            bad[item.name] = look
            continue
        sizes[look.size] += 1
        modes[look.mode] += 1
        stored[look.stored] += 1
        labels[item.label] += 1
        odd.update(animated=look.animated, turned=look.turned, deep=look.deep, reduced=look.reduced)
        odd.update(recoloured=look.recoloured is True, odd_profiles=look.recoloured is None)
        peak = max(peak, look.peak)
        repeats.add(look.digest)
        captions += item.caption is not None
        if item.caption is None and len(uncaptioned) < LISTED:
            uncaptioned.append(item.name)
    return Survey(
        images=len(source) - len(bad),
        sizes=dict(sizes.most_common()),
        modes=dict(modes.most_common()),
        stored=dict(stored.most_common()),
        bad={**source.broken, **bad},
        classes={name: labels[name] for name in source.classes},
        captions=captions,
        uncaptioned=tuple(uncaptioned) if captions else (),
        orphans=source.orphans,
        ignored=source.ignored,
        animated=odd["animated"],
        turned=odd["turned"],
        deep=odd["deep"],
        peak=peak,
        recoloured=odd["recoloured"],
        odd_profiles=odd["odd_profiles"],
        reduced=odd["reduced"],
        duplicates=repeats.count,
        notes=source.notes,
    )


def peek(source: Source) -> tuple[dict[tuple[int, int], int], dict[Mode, int]]:
    """Count the sizes and the modes in the headers of all images, which may differ from a damaged file's image."""
    if source.size is None:
        seen = [header(source.read(source.address(0)))] * len(source)
    else:
        n = len(source)
        some = range(n) if source.stored is None else range(0, n, -(-n // PEEKED))
        with ThreadPoolExecutor(THREADS) as pool:
            found = pool.map(partial(_header, source.read, source.max_pixels), map(source.address, some))
            seen = [one for one in found if one is not None]
    return _counts(size for size, _ in seen), _counts(mode for _, mode in seen)


def outline(
    source: Source, sizes: dict[tuple[int, int], int], modes: dict[Mode, int], classes: dict[str, int]
) -> Survey:
    """A survey of images that are not all decoded: their number and classes, and the headers of some."""
    return Survey(
        images=len(source),
        sizes=sizes,
        modes=modes,
        stored={},
        bad=dict(source.broken),
        classes=classes,
        captions=0,
        uncaptioned=(),
        orphans=source.orphans,
        ignored=source.ignored,
        animated=0,
        turned=0,
        deep=0,
        peak=0,
        recoloured=0,
        odd_profiles=0,
        reduced=0,
        duplicates=0,
        notes=source.notes,
    )


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
    write_json(source_folder(source.cache_key, cache_dir) / NAME, asdict(found) | lists, ADVICE)


def recall(source: Source, cache_dir: Path | None = None) -> Survey | None:
    """The stored survey of a source, if any."""
    fields = read_json(source_folder(source.cache_key, cache_dir) / NAME, LARGEST)
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

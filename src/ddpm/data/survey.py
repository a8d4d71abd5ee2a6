"""A survey of a source, made by decoding every image."""

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import PIL

from ddpm.data.source import Source
from ddpm.data.sweep import Look, sweep
from ddpm.system.cache import ADVICE, source_folder
from ddpm.system.errors import InputError
from ddpm.system.files import read_json, write_json
from ddpm.system.names import Mode
from ddpm.system.progress import Progress, silent

NAME = f"survey-{PIL.__version__}.json"
"""Named by version, as another Pillow may read other files."""


class Bad(NamedTuple):
    """An unusable file, and the reason."""

    name: str
    reason: str


@dataclass(frozen=True)
class Survey:
    """Counts over the valid images of a source, most frequent first, and the problems of the others.

    Attributes:
        images: The number of valid images.
        sizes: The count of each (H, W), after EXIF rotation.
        modes: The count of each of L, RGB and RGBA.
        stored: The count of each mode as stored, by Pillow's name.
        classes: The count of each class, in the order of the label numbers.
        captions: The number of images with a caption.
        uncaptioned: The images without a caption, if others have one.
        orphans: The captions without an image.
        ignored: The files that are neither images nor captions.
        animated: The number of images with several frames, of which the first is used.
        turned: The number of images rotated by EXIF.
        deep: The number of images stored with 16 bits.
        duplicates: The number of images that equal an earlier one byte for byte.
    """

    images: int
    sizes: dict[tuple[int, int], int]
    modes: dict[Mode, int]
    stored: dict[str, int]
    bad: tuple[Bad, ...]
    classes: dict[str, int]
    captions: int
    uncaptioned: tuple[str, ...]
    orphans: tuple[str, ...]
    ignored: tuple[str, ...]
    animated: int
    turned: int
    deep: int
    duplicates: int

    def mode(self, choice: Mode | None = None) -> Mode:
        """See :func:`one_mode`."""
        return one_mode(self.modes, choice)

    def size(self, choice: tuple[int, int] | None = None) -> tuple[int, int]:
        """The chosen size, or the common (H, W) of all images.

        Raises:
            InputError: if there are several sizes and none is chosen.
        """
        if choice:
            return choice
        if len(self.sizes) > 1:
            sizes = ", ".join(f"{n:,} of {h} × {w}" for (h, w), n in list(self.sizes.items())[:3])
            raise InputError(
                "invalid", f"the images have {len(self.sizes):,} sizes ({sizes} …); choose one with --size"
            )
        return next(iter(self.sizes))

    def check(self, skip_bad: bool = False) -> None:
        """Check that a source can be trained on.

        Raises:
            InputError: if no image is valid, or some are not and ``skip_bad`` is false.
        """
        first = "; ".join(f"{bad.name}: {bad.reason}" for bad in self.bad[:3])
        more = f" and {len(self.bad) - 3:,} more" if len(self.bad) > 3 else ""
        if not self.images:
            raise InputError(
                "unreadable", f"none of the {len(self.bad):,} images can be used ({first}{more}); fix them"
            )
        if self.bad and not skip_bad:
            raise InputError(
                "unreadable",
                f"{len(self.bad):,} of {self.images + len(self.bad):,} images cannot be used ({first}{more});"
                " fix them, or add --skip-bad to leave them out",
            )


def one_mode(modes: Mapping[Mode, int], choice: Mode | None = None) -> Mode:
    """The chosen mode, or the common mode of all images.

    Raises:
        InputError: if there are several modes and none is chosen.
    """
    if choice:
        return choice
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
    found = tally(source, (finding.look for finding in sweep(source, None, workers, progress)))
    with suppress(OSError, InputError):  # the next survey is slower, nothing else
        remember(source, found, cache_dir)
    return found


def tally(source: Source, looks: Iterable[Look | str]) -> Survey:
    """A survey from one look, or the reason for a failure, per item."""
    good: list[Look] = []
    bad: list[Bad] = []
    classes = dict.fromkeys(source.classes, 0)
    uncaptioned: list[str] = []
    for item, look in zip(source.items, looks, strict=True):
        if isinstance(look, str):
            bad.append(Bad(item.name, look))
            continue
        good.append(look)
        if item.label is not None:
            classes[item.label] += 1
        if item.caption is None:
            uncaptioned.append(item.name)
    captions = len(good) - len(uncaptioned)
    return Survey(
        images=len(good),
        sizes=dict(Counter((look.height, look.width) for look in good).most_common()),
        modes=dict(Counter(look.mode for look in good).most_common()),
        stored=dict(Counter(look.stored for look in good).most_common()),
        bad=tuple(bad),
        classes=classes,
        captions=captions,
        uncaptioned=tuple(uncaptioned) if captions else (),
        orphans=source.orphans,
        ignored=source.ignored,
        animated=sum(look.animated for look in good),
        turned=sum(look.turned for look in good),
        deep=sum(look.deep for look in good),
        duplicates=len(good) - len({look.digest for look in good}),
    )


def remember(source: Source, found: Survey, cache_dir: Path | None = None) -> None:
    """Store a survey in the cache folder of its source."""
    sizes = [[h, w, n] for (h, w), n in found.sizes.items()]
    write_json(source_folder(source.key, cache_dir) / NAME, asdict(found) | {"sizes": sizes}, ADVICE)


def recall(source: Source, cache_dir: Path | None = None) -> Survey | None:
    """The stored survey of a source, if any."""
    fields: dict[str, Any] | None = read_json(source_folder(source.key, cache_dir) / NAME)
    if fields is None:
        return None
    tuples = {name: tuple(fields[name]) for name in ("uncaptioned", "orphans", "ignored")}
    sizes = {(h, w): n for h, w, n in fields["sizes"]}
    return Survey(**fields | tuples | {"sizes": sizes, "bad": tuple(Bad(*bad) for bad in fields["bad"])})

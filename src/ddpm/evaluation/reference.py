"""Real images: the reference for samples, and the training images of a run."""

from collections.abc import Iterator
from dataclasses import dataclass

from ddpm.config.data import DataConfig
from ddpm.config.run import RunConfig
from ddpm.data.cache import prepare, prepare_as
from ddpm.data.dataset import Dataset
from ddpm.data.open import open_source, reopen_source
from ddpm.data.order import split
from ddpm.data.pairs import with_low_as
from ddpm.data.source import Source
from ddpm.data.survey import Survey, recall
from ddpm.evaluation.options import EvaluationOptions
from ddpm.images.geometry import Geometry
from ddpm.system.errors import InputError
from ddpm.system.progress import Progress, silent

MOST = 50_000
"""The most images of a set that is too large to store decoded, as is usual for reference statistics."""
FEWEST = 10
"""The fewest real or generated images that give meaningful numbers."""
UNKNOWN = "another program trained the model, and `ddpm import` was given no --data"
"""Why an imported run has no images."""


@dataclass(frozen=True)
class Real:
    """A set of real images.

    Attributes:
        source: as given.
        notes: how the images were changed, if they were.
    """

    source: str
    data: Dataset
    notes: tuple[str, ...] = ()


def reference(options: EvaluationOptions, own: DataConfig, progress: Progress = silent) -> Real:
    """Load the real images of the options, by default all of a run's source, in the geometry of the run.

    Raises:
        InputError: the source is unknown, cannot be read or holds too few images.
    """
    if not (options.data or own.source):
        raise InputError("missing", UNKNOWN)
    given = own if options.data is None else options
    geometry = Geometry(own.size, own.mode, given.fit)
    listed = reopen_source(own) if options.data is None else None
    return real(options.data or own.source, geometry, listed, skip_bad=given.skip_bad, progress=progress)


def real(
    source: str,
    geometry: Geometry,
    listed: Source | None = None,
    *,
    skip_bad: bool = False,
    progress: Progress = silent,
) -> Real:
    """Load the images of a source in the geometry of the samples.

    Args:
        listed: its images, if they are a run's own; for any other source, a note says which images are used.

    Raises:
        InputError: the source cannot be read or holds too few images.
    """
    notes: tuple[str, ...] = ()
    if listed is None:
        listed = open_source(source)
        notes = listed.notes
    data = prepare(listed, geometry, skip_bad=skip_bad, progress=progress)
    if len(data) < FEWEST:
        raise InputError(
            "invalid", f"{source} has {len(data)} images, too few to measure against; use at least {FEWEST}"
        )
    found, some = recall(listed), data.sample(MOST)
    changes = () if found is None else _changed(source, found, geometry)
    fewer = f"of the {len(data):,} images of {source}, {len(some):,} are used, evenly spread"
    return Real(source, some, (*notes, *changes, *([] if some is data else [fewer])))


def _changed(source: str, found: Survey, geometry: Geometry) -> Iterator[str]:
    """Describe how the images of a source were converted to a geometry."""
    others = sum(n for size, n in found.sizes.items() if size != geometry.size)
    if others and geometry.size:
        height, width = geometry.size
        yield f"{others:,} images of {source} were resized to {height} × {width} ({geometry.fit})"
    others = sum(n for mode, n in found.modes.items() if mode != geometry.mode)
    if others:
        yield f"{others:,} images of {source} were converted to {geometry.mode}"


def training(config: RunConfig, progress: Progress = silent) -> tuple[Dataset, Dataset]:
    """Load the images of a run, unchanged since it started: those it was trained on, and those held out.

    Of a set that is too large to store decoded, only some of either are loaded.

    Raises:
        InputError: they are missing or unknown, or have changed.
    """
    d = config.data
    if not d.source:
        raise InputError("missing", UNKNOWN)
    data = prepare_as(reopen_source(d), d, progress)
    if data.fingerprint != d.fingerprint:
        raise InputError("incompatible", f"the images of {d.source} have changed since the run started")
    data = with_low_as(data, config)
    kept, held = split(len(data), config.training.seed, data.validation)
    return data.subset(kept).sample(MOST), data.subset(held).sample(MOST)


def held_out(config: RunConfig, progress: Progress = silent) -> Dataset:
    """Return a run's held-out images.

    Raises:
        InputError: they cannot be read, or have changed since the run was trained.
    """
    try:
        return training(config, progress)[1]
    except InputError as e:
        raise InputError(
            "missing", f"the run's held-out images are not available ({e}); pass others with --data"
        ) from e

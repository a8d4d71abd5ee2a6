"""Real images: those that samples are measured against, and those that a run was trained on."""

from collections.abc import Iterator
from dataclasses import dataclass

from ddpm.config.run import RunConfig
from ddpm.data.cache import prepare
from ddpm.data.dataset import Dataset
from ddpm.data.open import open_source
from ddpm.data.order import split
from ddpm.data.pairs import with_low
from ddpm.data.survey import Survey, recall
from ddpm.images.geometry import Geometry
from ddpm.system.errors import InputError
from ddpm.system.progress import Progress, silent

FEWEST = 10
"""Real or generated images below which no number means anything."""


@dataclass(frozen=True)
class Real:
    """A set of real images.

    Attributes:
        source: as it was given.
        notes: what was done to the images, where something was.
    """

    source: str
    data: Dataset
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Training:
    """What a run was trained on.

    Attributes:
        seen: the images it was trained on.
        held_out: those of the same source that it was not.
    """

    source: str
    seen: Dataset
    held_out: Dataset


def real(source: str, geometry: Geometry, *, skip_bad: bool = False, progress: Progress = silent) -> Real:
    """The images of a source in the geometry of the samples.

    Raises:
        InputError: it cannot be read, or holds too few.
    """
    listed = open_source(source)
    data = prepare(listed, geometry, skip_bad=skip_bad, progress=progress)
    if len(data) < FEWEST:
        raise InputError(
            "invalid", f"{source} holds {len(data)} images; a measurement needs at least {FEWEST} real ones"
        )
    found = recall(listed)
    return Real(source, data, tuple(_changed(source, found, geometry)) if found else ())


def _changed(source: str, found: Survey, geometry: Geometry) -> Iterator[str]:
    """What the images of a source lost on their way to a geometry."""
    others = sum(n for size, n in found.sizes.items() if size != geometry.size)
    if others and geometry.size:
        height, width = geometry.size
        yield f"{others:,} images of {source} were brought to {height} × {width} by {geometry.fit}"
    others = sum(n for mode, n in found.modes.items() if mode != geometry.mode)
    if others:
        yield f"{others:,} images of {source} were converted to {geometry.mode}"


def training(config: RunConfig, progress: Progress = silent) -> Training:
    """The images of a run, as they were when it was started.

    Raises:
        InputError: they are no longer there, or no longer the same.
    """
    d = config.data
    data = prepare(open_source(d.source), Geometry(d.size, d.mode, d.fit), skip_bad=d.skip_bad, progress=progress)
    if data.fingerprint != d.fingerprint:
        raise InputError("incompatible", f"the images of {d.source} changed since the run was started")
    if config.upscaling is not None and config.upscaling.low is not None:
        data = with_low(data, config.upscaling.low, config.upscaling.scale, d.fit, skip_bad=d.skip_bad)
    kept, held = split(len(data), config.training.seed)
    return Training(d.source, data.subset(kept), data.subset(held))

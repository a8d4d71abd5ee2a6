"""Read a run folder, any part of which may be missing or damaged."""

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np

from ddpm import build
from ddpm.config.run import RunConfig
from ddpm.config.sampling import SamplingConfig
from ddpm.engine.loading import current_weights
from ddpm.images.decode import BadImage, read_picture
from ddpm.records import likelihood, score, sweep
from ddpm.records.alignment import AlignmentRecord
from ddpm.records.guidance import GuidanceRecord
from ddpm.records.likelihood import BitsRecord
from ddpm.records.run_folder import RunFolder
from ddpm.records.score import Score
from ddpm.records.sweep import SweepRecord
from ddpm.records.tuning import TunedRecord
from ddpm.system.errors import InputError
from ddpm.system.meta import shapes_only
from ddpm.system.record import Record
from ddpm.training.log import Event, lines_of, training_seconds

Kept = TypeVar("Kept", bound=Record)


@dataclass(frozen=True)
class Run:
    """A run folder that is finished, running or killed.

    Attributes:
        folder: as it was given.
        events: the lines of its log that are whole, in order.
        previews: images seen, and the sheet of samples drawn then.
        evaluations: by the names of their folders, oldest first.
        likelihoods: oldest first.
        guidance: the search for guidance, perhaps of other weights.
        sweeps: oldest first, perhaps of other weights.
        tuned: the result of tuning, perhaps of other weights.
        alignment: how well it follows captions, perhaps with other weights.
    """

    folder: Path
    config: RunConfig
    events: tuple[Event, ...]
    previews: tuple[tuple[int, Path], ...]
    evaluations: dict[str, Score]
    likelihoods: tuple[BitsRecord, ...] = ()
    guidance: GuidanceRecord | None = None
    sweeps: tuple[SweepRecord, ...] = ()
    tuned: TunedRecord | None = None
    alignment: AlignmentRecord | None = None

    @property
    def files(self) -> RunFolder:
        return RunFolder(self.folder)

    @property
    def name(self) -> str:
        return self.folder.absolute().name

    def of(self, kind: str) -> list[Event]:
        """The log's events of a kind."""
        return [event for event in self.events if event.kind == kind]

    def measured(self, kind: str, value: str) -> list[Event]:
        """The log's events of a kind that have a value which is a finite number."""
        found = [(event, event.values.get(value)) for event in self.of(kind)]
        return [event for event, number in found if isinstance(number, int | float) and math.isfinite(number)]

    def curve(self, kind: str, value: str) -> tuple[list[int], list[float]]:
        """Images seen and a value of the log, wherever it is finite."""
        events = self.measured(kind, value)
        return [event.images for event in events], [event.values[value] for event in events]

    @property
    def seen(self) -> int:
        """Images trained on so far, counted with repeats."""
        return max((event.images for event in self.events), default=0)

    @property
    def finished(self) -> bool:
        return bool(self.of("finish"))

    @property
    def seconds(self) -> float:
        """Training time so far in seconds, without previews and checkpoints, from the speeds in the log."""
        return training_seconds(self.files.log, self.seen) or 0.0

    def seconds_at(self, images: int) -> float | None:
        """Training time in seconds up to this many images, in proportion between lines of the log; None if unknown."""
        lines = [e for e in self.measured("train", "images_per_s") if e.values["images_per_s"] > 0]
        if not lines or images > lines[-1].images:
            return None
        seen = [0, *(event.images for event in lines)]
        speeds = [event.values["images_per_s"] for event in lines]
        return float(np.interp(images, seen, [0, *np.cumsum(np.diff(seen) / speeds)]))

    @cached_property
    def parameters(self) -> int:
        """The number of parameters of the model."""
        with shapes_only():
            return sum(p.numel() for p in build.build_model(self.config).parameters())

    @property
    def sampling(self) -> SamplingConfig:
        """The default settings of the run's weights, with the guidance that was found for them."""
        own, found = self.config.sampling, self.guidance
        return (
            own if found is None or not found.suits(self.weights) else own.model_copy(update={"guidance": found.chosen})
        )

    @cached_property
    def weights(self) -> str | None:
        """Hash of the weights that the run samples with, as scores name them; None before its first checkpoint."""
        return current_weights(self.files)[1] if self.files.weights_file.exists() else None


def read(folder: Path) -> Run:
    """Read a run folder.

    Raises:
        InputError: it is not a run folder.
    """
    files = RunFolder.open(folder)
    return Run(
        folder,
        files.config(),
        tuple(_events(files.log)),
        tuple(_previews(files.previews)),
        _records(files.evaluations, score.FILE, Score),
        tuple(_records(files.likelihood, likelihood.FILE, BitsRecord).values()),
        _intact(files.guidance),
        tuple(_records(files.sweeps, sweep.FILE, SweepRecord).values()),
        _intact(files.tuned),
        _intact(files.alignment),
    )


def _intact(read: Callable[[], Kept | None]) -> Kept | None:
    """A record; None if it does not exist or was written by another version."""
    with suppress(InputError):
        return read()
    return None


def _records(folder: Path, name: str, kind: type[Kept]) -> dict[str, Kept]:
    """Read the records in the folders of one, by name, oldest first, without those that another version wrote."""
    found = {}
    for path in sorted(folder.glob(f"*/{name}"), key=lambda path: (path.stat().st_mtime_ns, path.parent.name)):
        with suppress(InputError):
            found[path.parent.name] = kind.read(path)
    return found


def _events(path: Path) -> Iterator[Event]:
    """Parse the whole lines of a log: a killed process may leave half a line, and a running one may be writing it."""
    for event in map(Event.parse, lines_of(path) if path.exists() else ()):
        if event is not None:
            yield event


def _previews(folder: Path) -> Iterator[tuple[int, Path]]:
    for path in sorted(folder.glob("images-*.png")):
        number = path.stem.removeprefix("images-")
        if number.isdecimal() and readable(path):
            yield int(number), path


def readable(path: Path) -> bool:
    """Whether a picture exists and can be decoded."""
    try:
        read_picture(path)
    except (OSError, BadImage):
        return False
    return True

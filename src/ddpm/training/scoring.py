"""Scores while a run trains: their curve, and which was the best."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol, Self

import torch

from ddpm.config.scoring import ScoringSettings
from ddpm.core.model import Model
from ddpm.system.errors import InputError
from ddpm.system.files import disk_errors
from ddpm.system.record import Record
from ddpm.training import checkpoint as checkpoints

FILE = "best.json"


class Scored(NamedTuple):
    """What a scorer found.

    Attributes:
        n: samples that were drawn.
    """

    frechet: float
    kid: float
    n: int


class Scorer(Protocol):
    """Draws samples from a model and measures them: the same numbers for the same weights."""

    def __call__(self, model: Model, device: torch.device) -> Scored: ...


@dataclass(frozen=True)
class Scoring:
    """Who scores a run, and when."""

    scorer: Scorer
    settings: ScoringSettings


class Best(Record):
    """``best.json``: the checkpoint whose samples had the lowest Fréchet distance."""

    WRITER: ClassVar[str] = "ddpm train --during-training"
    checkpoint: str
    step: int
    images: int
    frechet: float
    kid: float

    @classmethod
    def of(cls, step: int, images: int, found: Scored) -> Self:
        checkpoint = checkpoints.path_of(Path(checkpoints.FOLDER), step).as_posix()
        return cls(checkpoint=checkpoint, step=step, images=images, frechet=found.frechet, kid=found.kid)

    def path(self, folder: Path) -> Path:
        """Where it is in a run folder."""
        return folder / self.checkpoint


def publish(folder: Path, best: Best | None) -> None:
    """Write ``best.json`` into a run folder; without a best one there is none.

    Raises:
        InputError: the disk refuses.
    """
    path = folder / FILE
    if best is not None:
        best.write(path)
        return
    with disk_errors(path):
        path.unlink(missing_ok=True)


def published(folder: Path) -> Best | None:
    """What ``best.json`` says; None where there is none, or it is damaged."""
    try:
        return Best.read(folder / FILE)
    except InputError:
        return None


class ScoreCurve:
    """The scores of one command, and the best of the whole run.

    Attributes:
        best: the lowest Fréchet distance so far.
    """

    def __init__(self, scoring: Scoring, best: Best | None, clock: Callable[[], float] = time.perf_counter) -> None:
        self.scoring, self.best, self._clock = scoring, best, clock
        self._began = clock()
        self._spent = self._last = 0.0

    def affordable(self) -> bool:
        """Whether another score, if it takes as long as the last, leaves all of them within their share of the time."""
        elapsed = self._clock() - self._began
        return self._spent + self._last <= self.scoring.settings.share * (elapsed + self._last)

    def take(self, model: Model, device: torch.device, step: int, images: int) -> dict[str, Any]:
        """Score a model that has been trained so far; the values of its line in the log."""
        began = self._clock()
        found = self.scoring.scorer(model, device)
        self._last = self._clock() - began
        self._spent += self._last
        best = self.best is None or found.frechet < self.best.frechet
        if best:
            self.best = Best.of(step, images, found)
        return {**found._asdict(), "seconds": self._last, "best": best}

"""Scores during training, and the best checkpoint by them."""

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
    """The result of a scorer.

    Attributes:
        n: the number of samples.
    """

    frechet: float
    kid: float
    n: int


class Scorer(Protocol):
    """A function that draws samples from a model and scores them: the same scores for the same weights."""

    def __call__(self, model: Model, device: torch.device) -> Scored: ...


@dataclass(frozen=True)
class Scoring:
    """How a run is scored, and when."""

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
        """Return the checkpoint's path in a run folder."""
        return folder / self.checkpoint


def publish(folder: Path, best: Best | None) -> None:
    """Write ``best.json`` into a run folder, or remove it if there is no best checkpoint.

    Raises:
        InputError: the file cannot be written or removed.
    """
    path = folder / FILE
    if best is not None:
        best.write(path)
        return
    with disk_errors(path):
        path.unlink(missing_ok=True)


def published(folder: Path) -> Best | None:
    """Read ``best.json``; None if it is missing or damaged."""
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
        """Check whether all scores stay within their share of the time if another takes as long as the last."""
        elapsed = self._clock() - self._began
        return self._spent + self._last <= self.scoring.settings.share * (elapsed + self._last)

    def take(self, model: Model, device: torch.device, step: int, images: int) -> dict[str, Any]:
        """Score a model after this many steps and images; return the values for its line in the log."""
        began = self._clock()
        found = self.scoring.scorer(model, device)
        self._last = self._clock() - began
        self._spent += self._last
        best = self.best is None or found.frechet < self.best.frechet
        if best:
            self.best = Best.of(step, images, found)
        return {**found._asdict(), "seconds": self._last, "best": best}

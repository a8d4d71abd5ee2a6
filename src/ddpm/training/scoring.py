"""Scores while a run trains: how often, what they may cost, and which was the best."""

import json
import time
from collections.abc import Callable, Container
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch

from ddpm.core.model import Model
from ddpm.training import checkpoint as checkpoints
from ddpm.training.storage import disk_errors, write_file

POINTS = 20
"""Scores of a run that is long enough for them."""
FEWEST = 64
"""Samples of a score in the shortest runs."""
CALLS = 3
"""Network calls that take as long as training on one image."""
MARGIN = 0.9
"""Part of the share that is planned with, as this is a rough count."""


@dataclass(frozen=True)
class ScoringSettings:
    """When and on what a run is scored; its weights do not depend on it.

    Attributes:
        every: images between scores; the last is at the run's end.
        samples: drawn for a score.
        steps: of the solver that draws them.
        share: largest share of the time of training that scores may take.
    """

    every: int
    samples: int = 256
    steps: int = 16
    share: float = 0.05

    def __post_init__(self) -> None:
        for name, least in (("every", 1), ("samples", 10), ("steps", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, not {getattr(self, name)}")
        if not 0 < self.share <= 1:
            raise ValueError(f"share must be above 0 and at most 1, not {self.share}")

    def points(self, images: int, batch: int) -> int:
        """Scores of a run on so many images, if time is left for all."""
        return 1 + max(0, images - batch) // self.every

    def cost(self, images: int, batch: int) -> float:
        """What these scores take, in images that could be trained on in that time."""
        return self.points(images, batch) * self.samples * self.steps / CALLS


def planned(asked: ScoringSettings, images: int, batch: int, given: Container[str]) -> ScoringSettings:
    """Settings for a run on so many images: 20 scores; in short runs on fewer samples, then fewer, to meet the share.

    Args:
        given: fields of ``asked`` that stay as they are.
    """
    drawn = MARGIN * asked.share * images * CALLS / asked.steps  # samples of all scores
    fitted = asked
    if "samples" not in given:
        points = asked.points(images, batch) if "every" in given else POINTS
        fitted = replace(fitted, samples=max(min(FEWEST, asked.samples), min(asked.samples, int(drawn / points))))
    if "every" not in given:
        points = max(1, min(POINTS, int(drawn / fitted.samples)))
        fitted = replace(fitted, every=max(batch, images // points))
    return fitted


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


@dataclass(frozen=True)
class Best:
    """The checkpoint whose samples had the lowest Fréchet distance."""

    step: int
    images: int
    frechet: float
    kid: float

    def path(self, folder: Path) -> Path:
        """Where it is in a run folder."""
        return checkpoints.place(folder / "checkpoints", self.step)


def publish(folder: Path, best: Best | None) -> None:
    """Write ``best.json`` into a run folder; without a best one there is none.

    Raises:
        InputError: the disk refuses.
    """
    path = folder / "best.json"
    if best is None:
        with disk_errors(path):
            path.unlink(missing_ok=True)
        return
    tree = {"checkpoint": best.path(folder).relative_to(folder).as_posix(), **asdict(best)}
    write_file(path, (json.dumps(tree, indent=1) + "\n").encode())


def published(folder: Path) -> Best | None:
    """What ``best.json`` says; None where there is none."""
    try:
        tree = json.loads((folder / "best.json").read_bytes())
        return Best(**{key: value for key, value in tree.items() if key != "checkpoint"})
    except (OSError, ValueError, TypeError, AttributeError):
        return None


class Curve:
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
            self.best = Best(step, images, found.frechet, found.kid)
        return {**found._asdict(), "seconds": self._last, "best": best}

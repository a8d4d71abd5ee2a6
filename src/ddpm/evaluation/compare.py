"""Compare scores: check that they were measured alike, and find the best by each metric."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from ddpm.config.options import flat, options
from ddpm.config.sampling import SamplingConfig
from ddpm.metrics.estimate import Estimate, wilson
from ddpm.records.score import FILE, Score
from ddpm.system.errors import InputError
from ddpm.system.names import suggest

SETTINGS = (*options(SamplingConfig), "seed")
"""Settings that ``--across`` may name; all other sampling settings must be equal."""


@dataclass(frozen=True)
class Column:
    """A metric that a column of the comparison shows.

    Attributes:
        title: its usual name.
        sign: 1 if higher is better, -1 if lower is.
        read: returns the metric of a score, or None if it has none.
    """

    title: str
    sign: int
    read: Callable[[Score], Estimate | None]

    @property
    def header(self) -> str:
        """The title with an arrow towards better values."""
        return f"{self.title} {'↑' if self.sign > 0 else '↓'}"

    def best(self, scores: Sequence[Score]) -> int | None:
        """The index of the score whose interval is better than all others without overlap; None if there is none."""
        found = [(i, interval) for i, score in enumerate(scores) if (interval := self.read(score))]
        for i, one in found:
            others = [other for j, other in found if j != i]
            if others and all(one.low > o.high if self.sign > 0 else one.high < o.low for o in others):
                return i
        return None

    def contested(self, scores: Sequence[Score]) -> bool:
        """Whether several scores have the metric but none is clearly best."""
        return sum(self.read(score) is not None for score in scores) > 1 and self.best(scores) is None


def _accuracy(score: Score) -> Estimate | None:
    return wilson(score.accuracy.value, score.measure.n) if score.accuracy else None


COLUMNS = (
    Column("Fréchet", -1, lambda s: s.frechet),
    Column("KID", -1, lambda s: s.kid),
    Column("precision", 1, lambda s: s.precision),
    Column("recall", 1, lambda s: s.recall),
    Column("density", 1, lambda s: s.density),
    Column("coverage", 1, lambda s: s.coverage),
    Column("inception score", 1, lambda s: s.inception_score),
    Column("accuracy", 1, _accuracy),
    Column("copy rate", -1, lambda s: s.memorisation.rate if s.memorisation else None),
)


def columns_of(scores: Sequence[Score]) -> list[Column]:
    """The metrics that at least one score has."""
    return [column for column in COLUMNS if any(column.read(score) for score in scores)]


def read(paths: Sequence[Path]) -> dict[Path, Score]:
    """Read scores by file; a folder stands for the score.json in it.

    Raises:
        InputError: fewer than two files, a duplicate, or a file that is not a score.
    """
    if len(paths) < 2:
        raise InputError(
            "invalid", f"at least two scores are needed, not {len(paths)}; use `ddpm compare a/score.json b/score.json`"
        )
    scores: dict[Path, Score] = {}
    for path in paths:
        file = path / FILE if path.is_dir() else path
        if file.resolve() in {other.resolve() for other in scores}:
            raise InputError("invalid", f"{path} is given twice; compare scores of different samples")
        scores[file] = Score.read(file)
    return scores


def names_of(paths: Sequence[Path]) -> list[str]:
    """Shorten paths to the parts that differ: "a" and "b" for runs/a/score.json and runs/b/score.json."""
    parts = [path.resolve().parts for path in paths]
    least = min(len(p) for p in parts) - 1
    start = next((i for i in range(least) if len({p[i] for p in parts}) > 1), least)
    end = next((i for i in range(least - start + 1) if len({p[-1 - i] for p in parts}) > 1), least - start)
    return [str(Path(*p[start : len(p) - end])) for p in parts]


def require_alike(scores: Mapping[Path, Score], across: Sequence[str] = ()) -> None:
    """Refuse scores that were measured differently, or sampled with settings that differ and are not in ``across``.

    Weights, and with them all of training, may differ: these are compared. The reference is identified by its hash,
    not its path. How a folder of images was sampled is unknown, so it agrees with everything.

    Raises:
        InputError: a field differs, or a name in ``across`` is not a setting.
    """
    for name in across:
        if name not in SETTINGS:
            raise InputError("unknown", f"--across {name} is not a sampling setting{suggest(name, list(SETTINGS))}")
    for (a, one), (b, other) in combinations(scores.items(), 2):
        for field, x, y in _differences(_measure(one), _measure(other)):
            raise InputError(
                "incompatible",
                f"{field} differs: {x} in {a}, {y} in {b}; evaluate both on the same images with the same options",
            )
        for field, x, y in _differences(_sampling(one), _sampling(other)):
            if field not in across:
                raise InputError(
                    "incompatible",
                    f"{field} differs: {x} in {a}, {y} in {b}; evaluate both with the same {field}, or use "
                    f"--across {field}",
                )


def _measure(score: Score) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in score.measure.model_dump().items():
        flat |= {f"{key}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {key: value}
    del flat["reference.source"]
    return flat


def _sampling(score: Score) -> dict[str, Any]:
    settings = score.samples.sampling
    if settings is None:
        return {}
    return (
        flat(settings)
        | {"classifier's weights": settings.classifier and settings.classifier.weights}
        | {"seed": score.samples.seed}
    )


def _differences(a: dict[str, Any], b: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    yield from ((field, a[field], b[field]) for field in a if field in b and a[field] != b[field])

"""Whether a distance grows with the damage that was done."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from ddpm.data.dataset import Dataset, Ints
from ddpm.images.pixels import Pixels
from ddpm.metrics import frechet
from ddpm.metrics.features import Extractor
from ddpm.metrics.features.extract import extract
from feature_study.degradations import DEGRADATIONS

DROPPED = (1, 2, 3, 4, 5)
"""Classes that are left out."""


@dataclass(frozen=True)
class Row:
    """One way of getting worse.

    Attributes:
        strengths: as they are called, the weakest first.
        distances: at each.
    """

    strengths: tuple[str, ...]
    distances: tuple[float, ...]

    @property
    def spearman(self) -> float:
        """Correlation of the distances' ranks with the order they should have."""
        return float(spearmanr(range(len(self.distances)), self.distances).statistic)


def rank(
    extractor: Extractor,
    real: frechet.Normal,
    test: Dataset,
    n: int,
    weaker: Mapping[str, Mapping[str, Pixels]],
    say: Callable[[str], None],
) -> dict[str, Row]:
    """Distances from the real images of n test images that get worse, and of samples that do."""

    def distance(images: Pixels) -> float:
        return frechet.distance(frechet.fit(extract(extractor, Dataset(images))), real)

    def row(name: str, sets: Mapping[str, Callable[[], Pixels]]) -> Row:
        found = []
        for strength, images in sets.items():
            say(f"{extractor.name}: {name} {strength}")
            found.append(distance(images()))
        return Row(tuple(sets), tuple(found))

    order = shuffled(len(test))
    some = test.read(order[:n])
    rows = {
        name: row(name, {f"{s:g}": lambda way=way, s=s: way(some, s) for s in way.strengths})
        for name, way in DEGRADATIONS.items()
    }
    if test.labels is not None and len(test.classes) > DROPPED[-1]:
        left = {str(k): order[test.labels[order] >= k][:n] for k in DROPPED}
        if all(len(rest) == n for rest in left.values()):
            rows["dropped classes"] = row(
                "dropped classes", {k: lambda rest=rest: test.read(rest) for k, rest in left.items()}
            )
    for name, sets in weaker.items():
        rows[name] = row(name, {k: lambda images=images: images for k, images in sets.items()})
    return rows


def disjoint(features: np.ndarray, n: int, most: int, real: frechet.Normal) -> Sequence[float]:
    """Distances from the real images of disjoint sets of n test images."""
    order = shuffled(len(features))
    parts = [order[k * n : (k + 1) * n] for k in range(min(most, len(features) // n))]
    return [frechet.distance(frechet.fit(features[part]), real) for part in parts]


def shuffled(n: int) -> Ints:
    """The numbers of n images, always in the same random order."""
    return np.random.default_rng(1).permutation(n)

"""Whether sets of 2,000 tell apart what differs by a tenth."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ddpm.data.dataset import Dataset
from ddpm.images.pixels import Pixels
from ddpm.metrics import frechet
from ddpm.metrics.features import Extractor
from ddpm.metrics.features.extract import extract
from feature_study.degradations import DEGRADATIONS

WAYS = {"blur": (0.2, 3.0), "noise": (0.5, 60.0), "colour": (0.5, 90.0)}
"""Degradations whose strength is a number, and the strengths between which the wanted ones are looked for."""
STARTS = (1.5, 3.0, 10.0)
"""Distances of the weaker of two strengths, as multiples of the distance of n real images."""
MORE = 1.1
DRAWS = 20
CLOSE = 0.005
"""Relative error to which a distance is met."""


@dataclass(frozen=True)
class Pair:
    """Two strengths of one degradation.

    Attributes:
        strengths: the weaker, and one with a tenth more distance.
        distances: theirs, on all test images.
        small: (2, draws), distances of random sets of n; draw i of both strengths is of the same images.
        share: of all test images that are in a set.
    """

    way: str
    strengths: tuple[float, float]
    distances: tuple[float, float]
    small: np.ndarray
    share: float

    @property
    def gap(self) -> float:
        return float(self.small[1].mean() - self.small[0].mean())

    @property
    def sd(self) -> float:
        """Of a set's distance. Sets drawn from the same few images vary less than fresh ones, which is made good."""
        return float(np.sqrt(self.small.var(1, ddof=1).mean() / (1 - self.share)))

    @property
    def right(self) -> float:
        """Share of pairs of sets of other images, one of each strength, that are in the right order."""
        order = self.small[1][None, :] > self.small[0][:, None]  # (draws, draws)
        return float(order[~np.eye(len(order), dtype=bool)].mean())

    @property
    def right_of_same(self) -> float:
        """The same of pairs of sets of the same images."""
        return float((self.small[1] > self.small[0]).mean())


def apart(
    extractor: Extractor, real: frechet.Normal, test: Dataset, n: int, level: float, say: Callable[[str], None]
) -> list[Pair]:
    """Pairs of strengths for each degradation and each start, and what sets of n make of them.

    Args:
        level: the distance of n real images.
    """
    images, found = test.images, []
    for way in WAYS:
        curve = Curve(way, images, extractor, real)
        for start in STARTS:
            say(f"{way}: strengths that differ by a tenth, at {start:g} times the distance of real images")
            weak = curve.meet(start * level)
            strong = curve.meet(MORE * curve.seen[weak])
            small = np.stack([curve.draws(strength, n) for strength in (weak, strong)])
            distances = (curve.seen[weak], curve.seen[strong])
            found.append(Pair(way, (weak, strong), distances, small, n / len(images)))
    return found


class Curve:
    """The distance of all test images as a function of the strength of one degradation.

    Attributes:
        seen: strength -> distance.
    """

    def __init__(self, way: str, images: Pixels, extractor: Extractor, real: frechet.Normal) -> None:
        self.seen: dict[float, float] = {}
        self._way, self._images, self._extractor, self._real = way, images, extractor, real

    def features(self, strength: float) -> torch.Tensor:
        return extract(self._extractor, Dataset(DEGRADATIONS[self._way](self._images, strength)))

    def __call__(self, strength: float) -> float:
        if strength not in self.seen:
            self.seen[strength] = frechet.distance(frechet.fit(self.features(strength)), self._real)
        return self.seen[strength]

    def meet(self, distance: float) -> float:
        """A strength of this distance, by bisection between the nearest ones seen, on a logarithmic scale."""
        low, high = WAYS[self._way]
        assert self(low) < distance < self(high)
        while True:
            below = max(s for s, d in self.seen.items() if d <= distance)
            above = min(s for s, d in self.seen.items() if d > distance and s > below)
            part = np.log(distance / self(below)) / np.log(self(above) / self(below))
            middle = float(below * (above / below) ** np.clip(part, 0.05, 0.95))
            if abs(self(middle) / distance - 1) < CLOSE:
                return middle

    def draws(self, strength: float, n: int) -> np.ndarray:
        """Distances of random sets of n, the same sets for every strength, (DRAWS,)."""
        features, rng = self.features(strength), np.random.default_rng(2)
        rows = [rng.permutation(len(features))[:n] for _ in range(DRAWS)]
        return np.array([frechet.distance(frechet.fit(features[row]), self._real) for row in rows])

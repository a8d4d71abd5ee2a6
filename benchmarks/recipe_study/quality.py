"""The quality of samples against held-out images, and its means over seeds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from scipy.stats import t as student
from side_by_side.judge import Judge

from ddpm import build
from ddpm.data.dataset import Dataset
from ddpm.metrics import frechet, kernel, manifold
from ddpm.metrics.estimate import Estimate, resamples, wilson
from ddpm.metrics.features.extract import extract, extract_once
from ddpm.system.device import best_device
from recipe_study.data import Images

REPLICATES = 100
SEEN, EPOCHS = 64_000, 4
"""The least number of images and of epochs that the classifier is trained on."""
FEW_SEEDS = 3
"""The number of seeds from which on intervals are of the seeds, not of the images."""

Quality = dict[str, Estimate]
"""Metric -> its value with the interval from the random variation of the images."""


@dataclass(frozen=True)
class Standard:
    """What all samples are measured against, by the same code.

    Attributes:
        judge: the classifier; None without classes.
        right: the accuracy of the classifier on the held-out images.
    """

    images: Images
    judge: Judge | None
    right: float | None

    @classmethod
    def of(cls, images: Images, out: Path) -> "Standard":
        """Train the classifier on the training images, or read its weights from a folder."""
        train, held = images.train, images.reference
        if train.labels is None or held.labels is None:
            return cls(images, None, None)
        torch.manual_seed(0)
        judge, file = Judge(train.shape[2], len(train.classes)), out / "judge.safetensors"
        if file.exists():
            judge.load_state_dict(load_file(file))
        else:
            judge.fit(train, max(EPOCHS, -(-SEEN // len(train))))
            save_file({name: value.contiguous() for name, value in judge.state_dict().items()}, file)
        return cls(images, judge, judge.right(extract(judge, held), held.labels))

    def measure(self, drawn: np.ndarray) -> Quality:
        """Measure n samples, (n, H, W, C) uint8, of the classes of :meth:`Images.labels`."""
        held, n = self.images.reference, len(drawn)
        features = build.build_features("embedded", None, held.shape[:2], best_device())
        theirs, ours = extract_once(features, held), extract(features, Dataset(drawn))
        counts, many = resamples(n, REPLICATES), min(n, len(held))
        some = torch.from_numpy(np.random.default_rng(0).permutation(len(held))[:many])
        _, recall, _, coverage = manifold.estimate(ours[:many], theirs[some], resamples(many, REPLICATES), (3, 5))
        found = {
            "frechet": frechet.estimate(ours, frechet.fit(theirs), counts),
            "kid": kernel.estimate(ours, theirs, counts),
            "recall": recall,
            "coverage": coverage,
        }
        labels = self.images.labels(n)
        if self.judge is not None and labels is not None:
            found["accuracy"] = wilson(self.judge.right(extract(self.judge, Dataset(drawn)), labels), n)
        return found

    def floor(self, n: int) -> Quality:
        """Measure n training images in place of samples, without the classifier, which was trained on them."""
        train = self.images.train
        rows = np.random.default_rng(0).permutation(len(train))[:n]
        return replace(self, judge=None).measure(train.read(rows))


def mean(found: Sequence[Estimate]) -> Estimate:
    """The mean over seeds with its 95 % interval.

    From three seeds on, it is Student's for the seeds, which also vary by their images. Fewer do not show how much
    seeds vary: the interval is that of the images alone.
    """
    values, seeds = np.array([one.value for one in found]), len(found)
    centre = float(values.mean())
    if seeds >= FEW_SEEDS:
        half = float(student.ppf(0.975, seeds - 1) * values.std(ddof=1) / seeds**0.5)
        return Estimate(value=centre, low=centre - half, high=centre + half)
    low, high = (
        float(np.sqrt(sum((one.value - getattr(one, end)) ** 2 for one in found)) / seeds) for end in ("low", "high")
    )
    return Estimate(value=centre, low=centre - low, high=centre + high)


def ratio(above: Sequence[Estimate], below: Sequence[Estimate]) -> Estimate:
    """The geometric mean over seeds of the ratio of two distances, paired by seed; the interval is that of the mean."""
    logs = []
    for a, b in zip(above, below, strict=True):
        value = np.log(a.value / b.value)
        with np.errstate(divide="ignore"):  # an interval may end at 0
            low = np.hypot(np.log(a.low / a.value), np.log(b.high / b.value))
            high = np.hypot(np.log(a.high / a.value), np.log(b.low / b.value))
        logs.append(Estimate(value=value, low=value - low, high=value + high))
    found = mean(logs)
    return Estimate(value=np.exp(found.value), low=np.exp(found.low), high=np.exp(found.high))

"""Compute the numbers of a score from images."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version

import numpy as np
import torch

from ddpm.core.stream import Stream
from ddpm.data.dataset import Dataset, Images, channel_stats
from ddpm.evaluation.reference import FEWEST, Real, Training
from ddpm.metrics import accuracy, bootstrap, frechet, inception_score, kernel, manifold, memorisation
from ddpm.metrics.estimate import wilson
from ddpm.metrics.features import Extractor
from ddpm.metrics.features.extract import CHUNK, extract, extract_once
from ddpm.metrics.features.inception import Inception
from ddpm.metrics.features.thumbnail import Thumbnail
from ddpm.records.score import (
    Accuracy,
    ColourStats,
    Copy,
    FeaturesRecord,
    Frechet,
    Measurement,
    Memorisation,
    ReferenceRecord,
    Samples,
    Score,
)
from ddpm.system.errors import InputError
from ddpm.system.progress import Progress, doing

REPLICATES = 100
NEIGHBOURS = (3, 5)
BALLS = 10_000
"""The most images of each kind in the search for neighbours."""
FEW = 1000
"""The number of generated images below which the Fréchet distance is mostly bias."""
LISTED = 1000
"""The most closest pairs that a score lists, copies first."""
CLOSEST = 16
"""The closest pairs that a score lists even if they are not copies."""


@dataclass(frozen=True)
class Generated:
    """Images to measure.

    Attributes:
        samples: where they come from.
        names: a readable name for each.
        labels: the requested class of each, by name; None without classes.
    """

    images: Images
    samples: Samples
    names: Sequence[str]
    labels: Sequence[str] | None = None


def measure(generated: Generated, real: Real, extractor: Extractor, progress: Progress) -> Score:
    """Measure images against real ones; :func:`copies` fills in the search for copies.

    Raises:
        InputError: too few images.
    """
    n = len(generated.images)
    if n < FEWEST:
        raise InputError("invalid", f"{n} generated images are too few to measure; use at least {FEWEST}")
    notes = []
    if n < FEW:
        notes.append(
            f"with only {n} images the Fréchet distance is biased upwards: compare it only with others of {n} images; "
            "KID is unbiased"
        )
    theirs = extract_once(extractor, real.data, doing(progress, "extracting features of the reference"))
    ours = extract(extractor, generated.images, doing(progress, "extracting features of the samples"))
    counts = bootstrap.counts(n, REPLICATES)
    progress(0, 4, "comparing")
    distance = frechet.estimate(ours, frechet.fit(theirs), counts)
    floor = frechet.floor(theirs, n)
    if floor is None:
        notes.append(f"{len(theirs)} real images are too few to estimate the Fréchet distance of {n} of them")
    progress(1, 4, "comparing")
    kid = kernel.estimate(ours, theirs, counts)
    progress(2, 4, "comparing")
    many = min(n, len(theirs), BALLS)
    balls = manifold.fit(theirs[_some(len(theirs), many)], NEIGHBOURS)
    shares = manifold.estimate(ours[_some(n, many)], balls, bootstrap.counts(many, REPLICATES))
    progress(3, 4, "comparing")
    scores = None
    if isinstance(extractor, Inception):
        scores = inception_score.estimate(extractor.logits(ours), counts)
    read, unread = _accuracy(ours, generated.labels, theirs, real.data)
    progress(4, 4, "comparing")
    height, width, _ = real.data.shape
    return Score(
        made_by=f"ddpm {version('ddpm')}",
        measure=Measurement(
            n=n,
            features=FeaturesRecord.of(extractor),
            reference=ReferenceRecord.of(real.source, real.data),
            size=(height, width),
            mode=real.data.mode,
            neighbours=NEIGHBOURS,
        ),
        samples=generated.samples,
        frechet=Frechet(**distance.model_dump(), floor=floor),
        kid=kid,
        precision=shares.precision,
        recall=shares.recall,
        density=shares.density,
        coverage=shares.coverage,
        inception_score=scores,
        accuracy=read,
        colour=_colour(generated.images, real.data),
        notes=(*notes, *unread),
    )


def copies(generated: Generated, training: Training, progress: Progress) -> Memorisation:
    """Search generated images for copies of training images, and held-out images for the rate of false alarms."""
    thumbnail = Thumbnail()
    seen = extract_once(thumbnail, training.seen, doing(progress, "extracting features of the training images"))
    found = memorisation.nearest(extract(thumbnail, generated.images), seen)
    rate = wilson(float(found.copied.double().mean()), len(found.copied))
    held_out, held_out_median = None, None
    if len(training.held_out):
        others = memorisation.nearest(extract_once(thumbnail, training.held_out), seen)
        held_out = wilson(float(others.copied.double().mean()), len(others.copied))
        held_out_median = float(others.distance.median())
    listed = min(LISTED, max(CLOSEST, int(found.copied.sum())))
    order = found.distance.argsort(stable=True)[:listed].tolist()
    names = training.seen.names
    return Memorisation(
        source=training.source,
        images=len(training.seen),
        copies=int(found.copied.sum()),
        rate=rate,
        threshold=memorisation.THRESHOLD,
        held_out=held_out,
        median=float(found.distance.median()),
        held_out_median=held_out_median,
        closest=tuple(
            Copy(
                sample=generated.names[i],
                training=names[j] if names else str(j),
                distance=float(found.distance[i]),
                copied=bool(found.copied[i]),
                places=(i, j),
            )
            for i, j in ((i, int(found.which[i])) for i in order)
        ),
    )


def content_hash(images: Images) -> str:
    """Hash all pixels: 16 hex digits of SHA-256."""
    digest = sha256(str(images.shape).encode())
    for first in range(0, len(images), CHUNK):
        digest.update(images.read(np.arange(first, min(first + CHUNK, len(images)))).data)
    return digest.hexdigest()[:16]


def _accuracy(
    ours: torch.Tensor, labels: Sequence[str] | None, theirs: torch.Tensor, data: Dataset
) -> tuple[Accuracy | None, tuple[str, ...]]:
    """Measure how often samples are classified as the requested class, with notes on those left out."""
    if labels is None or data.labels is None:
        return None, ()
    held = set(data.labels.tolist())
    number = {name: i for i, name in enumerate(data.classes) if i in held}
    known = torch.tensor([name in number for name in labels])
    notes: tuple[str, ...] = ()
    if not known.all():
        lost = sorted({name for name in labels if name not in number})
        notes = (f"the reference has no class {', '.join(lost)}: its samples are left out of the accuracy",)
    if not known.any() or len(number) < 2:
        return None, notes
    asked = torch.tensor([number[name] for name in labels if name in number])
    try:
        linear = accuracy.fit(theirs, torch.from_numpy(data.labels), len(data.classes))
    except ValueError as e:
        return None, (*notes, f"accuracy was not measured: {e}")
    value, shares = accuracy.estimate(linear, ours[known], asked)
    by_class = {data.classes[c]: share for c, share in shares.items()}
    return Accuracy(value=value, real=linear.real, by_class=by_class), notes


def _colour(images: Images, data: Dataset) -> ColourStats:
    mean, std = channel_stats(images)
    real_mean, real_std = channel_stats(data)
    return ColourStats(
        mean=tuple(mean.tolist()),
        std=tuple(std.tolist()),
        reference_mean=tuple(real_mean.tolist()),
        reference_std=tuple(real_std.tolist()),
    )


def _some(n: int, many: int) -> torch.Tensor:
    """Choose ``many`` of n indices, always the same ones."""
    return Stream(0, "some", n).permutation(n)[:many]

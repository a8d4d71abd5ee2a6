"""Compute the numbers of a score from images."""

from collections.abc import Sequence
from hashlib import sha256
from importlib.metadata import version

import numpy as np
import torch

from ddpm.core.stream import Stream
from ddpm.data.dataset import Dataset, Images, channel_stats
from ddpm.evaluation.reference import FEWEST, Real
from ddpm.metrics import accuracy, frechet, inception_score, kernel, manifold, memorisation
from ddpm.metrics.estimate import Estimate, resamples, wilson
from ddpm.metrics.features import Extractor
from ddpm.metrics.features.extract import CHUNK, extract, extract_once
from ddpm.metrics.features.inception import Inception
from ddpm.metrics.memorisation import Thumbnail
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
FEWEST_LISTED = 16
"""The closest pairs that a score lists even if they are not copies."""


def measure(
    images: Images, samples: Samples, labels: Sequence[str] | None, real: Real, extractor: Extractor, progress: Progress
) -> Score:
    """Measure images against real ones; :func:`copies` searches for copies.

    Args:
        samples: where the images come from.
        labels: the requested class of each, by name; None without classes.

    Raises:
        InputError: too few images.
    """
    n = len(images)
    if n < FEWEST:
        raise InputError("invalid", f"{n} generated images are too few to measure; use at least {FEWEST}")
    notes = []
    if n < FEW:
        notes.append(
            f"with only {n} images the Fréchet distance is biased upwards: compare it only with others of {n} images; "
            "KID is unbiased"
        )
    theirs = extract_once(extractor, real.data, doing(progress, "extracting features of the reference"))
    ours = extract(extractor, images, doing(progress, "extracting features of the samples"))
    counts = resamples(n, REPLICATES)
    progress(0, 4, "comparing")
    distance = frechet.estimate(ours, frechet.fit(theirs), counts)
    floor = frechet.floor(theirs, n)
    if floor is None:
        notes.append(f"{len(theirs)} real images are too few to estimate the Fréchet distance of {n} of them")
    progress(1, 4, "comparing")
    kid = kernel.estimate(ours, theirs, counts)
    progress(2, 4, "comparing")
    many = min(n, len(theirs), BALLS)
    of_ours, of_theirs = ours[_some(n, many)], theirs[_some(len(theirs), many)]
    shares = manifold.estimate(of_ours, of_theirs, resamples(many, REPLICATES), NEIGHBOURS)
    precision, recall, density, coverage = shares
    progress(3, 4, "comparing")
    scores = None
    if isinstance(extractor, Inception):
        scores = inception_score.estimate(extractor.logits(ours), counts)
    read, unread = _accuracy(ours, labels, theirs, real.data)
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
        samples=samples,
        frechet=Frechet(**distance.model_dump(), floor=floor),
        kid=kid,
        precision=precision,
        recall=recall,
        density=density,
        coverage=coverage,
        inception_score=scores,
        accuracy=read,
        colour=_colour(images, real.data),
        notes=(*notes, *unread),
    )


def copies(
    images: Images, names: Sequence[str], source: str, seen: Dataset, held_out: Dataset | None, progress: Progress
) -> Memorisation:
    """Search generated images for copies of training images, and held-out images for the rate of false alarms.

    Args:
        names: a readable name for each image.
        source: where the training images, seen and held out, come from.

    Raises:
        TooFew: there are too few training images.
    """
    thumbnail = Thumbnail()
    known = extract_once(thumbnail, seen, doing(progress, "extracting features of the training images"))
    which, distance = memorisation.nearest(extract(thumbnail, images), known)
    copied = distance < memorisation.THRESHOLD
    held_out_rate, held_out_median = None, None
    if held_out is not None and len(held_out):
        _, others = memorisation.nearest(extract_once(thumbnail, held_out), known)
        held_out_rate, held_out_median = _share(others < memorisation.THRESHOLD), float(others.median())
    listed = min(LISTED, max(FEWEST_LISTED, int(copied.sum())))
    return Memorisation(
        source=source,
        images=len(seen),
        copies=int(copied.sum()),
        rate=_share(copied),
        threshold=memorisation.THRESHOLD,
        held_out=held_out_rate,
        median=float(distance.median()),
        held_out_median=held_out_median,
        closest=tuple(
            Copy(
                sample=names[i],
                training=seen.names[j] if seen.names else str(j),
                distance=float(distance[i]),
                copied=bool(copied[i]),
                places=(i, j),
            )
            for i, j in ((i, int(which[i])) for i in distance.argsort(stable=True)[:listed].tolist())
        ),
    )


def _share(hits: torch.Tensor) -> Estimate:
    return wilson(float(hits.double().mean()), len(hits))


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
    number = {name: i for i, (name, n) in enumerate(zip(data.classes, data.class_counts(), strict=True)) if n}
    known = torch.tensor([name in number for name in labels])
    notes: tuple[str, ...] = ()
    if not known.all():
        lost = sorted({name for name in labels if name not in number})
        notes = (f"the reference has no class {', '.join(lost)}: its samples are left out of the accuracy",)
    if not known.any() or len(number) < 2:
        return None, notes
    asked = torch.tensor([number[name] for name in labels if name in number])
    try:
        linear = accuracy.fit(theirs, torch.from_numpy(np.asarray(data.labels)), len(data.classes))
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

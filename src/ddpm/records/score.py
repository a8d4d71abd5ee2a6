"""A score: the numbers, and everything that determines them."""

from typing import Any, ClassVar, Literal, Self

from ddpm.config.sampling import SamplingConfig
from ddpm.data.dataset import Dataset
from ddpm.metrics.estimate import Estimate
from ddpm.metrics.features import Extractor
from ddpm.system.names import Mode
from ddpm.system.record import Record, Strict

FILE = "score.json"
SHEET = "sheet.png"
"""The first samples, next to a score."""
CLOSEST = "closest.png"
"""The closest pairs of a sample and a training image, next to a run's score."""


class FeaturesRecord(Strict):
    """The feature extractor.

    Attributes:
        hash: of its weights and its preprocessing.
        resize: the preprocessing in words.
        dim: features per image.
    """

    name: str
    hash: str
    resize: str
    dim: int

    @classmethod
    def of(cls, extractor: Extractor) -> Self:
        return cls(name=extractor.name, hash=extractor.hash, resize=extractor.resize, dim=extractor.dim)


class ReferenceRecord(Strict):
    """The real images.

    Attributes:
        source: as given.
        hash: of the prepared pixels and labels.
        images: the number of images.
    """

    source: str
    hash: str
    images: int

    @classmethod
    def of(cls, source: str, data: Dataset) -> Self:
        return cls(source=source, hash=data.fingerprint[:16], images=len(data))


class Measurement(Strict):
    """How a score was measured; only scores with equal measurements can be compared.

    Attributes:
        n: the number of generated images.
        size: (H, W) at which images were compared.
        neighbours: k for precision and recall, and for density and coverage.
    """

    n: int
    features: FeaturesRecord
    reference: ReferenceRecord
    size: tuple[int, int]
    mode: Mode
    neighbours: tuple[int, int] = (3, 5)


class Samples(Strict):
    """The generated images.

    Attributes:
        source: the run, checkpoint or folder, as given.
        hash: of all generated pixels.
        weights: hash of the weights; None for a folder of images, as are all fields below.
        images_seen: images that the weights were trained on, counting repeats.
        seconds: training time up to these weights.
        seed: sample i depends on it and i alone.
        labels: how labels were chosen: "reference" for the reference's proportions, or None.
        prompts: how prompts were chosen: "reference" for captions of the reference, or None.
        sampling: the settings, with all defaults resolved.
    """

    source: str
    hash: str
    weights: str | None = None
    images_seen: int | None = None
    seconds: float | None = None
    seed: int | None = None
    labels: Literal["reference"] | None = None
    prompts: Literal["reference"] | None = None
    sampling: SamplingConfig | None = None


class Frechet(Estimate):
    """Fréchet distance.

    Attributes:
        floor: the distance of the same number of real images to the others; None if there are too few.
    """

    floor: float | None = None


class Accuracy(Strict):
    """The share of samples that a linear classifier of the reference's features classifies as the requested class.

    Attributes:
        value: over the samples.
        real: over held-out reference images.
        by_class: over the samples of each class.
    """

    value: float
    real: float
    by_class: dict[str, float]


class ColourStats(Strict):
    """Mean and standard deviation of each channel over all pixels, in units of [-1, 1]."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    reference_mean: tuple[float, ...]
    reference_std: tuple[float, ...]


class Copy(Strict):
    """A sample and the training image nearest to it.

    Attributes:
        sample: its file name, or its index in the seed's set.
        training: name of the training image.
        distance: relative to distances between training images nearby; below the threshold it counts as a copy.
        places: indices of the two in their sets.
    """

    sample: str
    training: str
    distance: float
    copied: bool
    places: tuple[int, int]


class Memorisation(Strict):
    """Whether samples are copies of training images.

    Attributes:
        source: the training images, as given.
        images: the number of training images.
        copies: the number of samples that are copies.
        rate: their share, with a 95 % Wilson interval.
        threshold: relative distance below which a sample counts as a copy.
        held_out: the same share of held-out images, which are false positives; None if there are none.
        median: median relative distance of the samples.
        held_out_median: median relative distance of the held-out images.
        closest: pairs, closest first: all copies, up to a thousand, and at least 16 pairs.
    """

    source: str
    images: int
    copies: int
    rate: Estimate
    threshold: float
    held_out: Estimate | None
    median: float
    held_out_median: float | None
    closest: tuple[Copy, ...]


class Score(Record):
    """``score.json``.

    Attributes:
        frechet: Fréchet distance of the features' Gaussians; 0 or more, lower is better.
        kid: unbiased kernel distance, about 0 for equal distributions.
        precision, recall: Kynkäänniemi et al. 2019, 0 to 1.
        density, coverage: Naeem et al. 2020.
        inception_score: for features with classes.
        copy_rate: ``memorisation.rate.value``, for easy access.
        notes: caveats on this score.
    """

    WRITER: ClassVar[str] = "ddpm evaluate"
    made_by: str
    measure: Measurement
    samples: Samples
    frechet: Frechet
    kid: Estimate
    precision: Estimate
    recall: Estimate
    density: Estimate
    coverage: Estimate
    inception_score: Estimate | None = None
    accuracy: Accuracy | None = None
    colour: ColourStats
    memorisation: Memorisation | None = None
    copy_rate: float | None = None
    notes: tuple[str, ...] = ()

    def headline(self) -> dict[str, Any]:
        """The metrics of this score that have intervals, by name."""
        names = ("frechet", "kid", "precision", "recall", "density", "coverage", "inception_score")
        return {name: value for name in names if (value := getattr(self, name)) is not None}

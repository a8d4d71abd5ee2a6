"""A score: the numbers, and everything they are a function of."""

from typing import Any, ClassVar, Literal, Self

from ddpm.config.sampling import SamplingConfig
from ddpm.data.dataset import Dataset
from ddpm.metrics.estimate import Estimate
from ddpm.metrics.features import Extractor
from ddpm.system.names import Mode
from ddpm.system.record import Record, Strict

FILE = "score.json"


class FeaturesRecord(Strict):
    """The network that looked.

    Attributes:
        hash: of its weights and of what is done to an image before them.
        resize: the latter in words.
        dim: numbers an image.
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
        source: as it was given.
        hash: of pixels and labels, as prepared.
        images: how many.
    """

    source: str
    hash: str
    images: int

    @classmethod
    def of(cls, source: str, data: Dataset) -> Self:
        return cls(source=source, hash=data.fingerprint[:16], images=len(data))


class Measurement(Strict):
    """How it was measured: scores can be compared where all of this is the same.

    Attributes:
        n: generated images.
        size: (H, W) at which they were compared.
        neighbours: k of precision and recall, and of density and coverage.
    """

    n: int
    features: FeaturesRecord
    reference: ReferenceRecord
    size: tuple[int, int]
    mode: Mode
    neighbours: tuple[int, int] = (3, 5)


class Samples(Strict):
    """What was measured.

    Attributes:
        source: the run, checkpoint or folder, as it was given.
        hash: of all generated pixels.
        weights: hash of the weights; the other fields are None, too, for a folder of images.
        images_seen: images that the weights were trained on, counted with repeats.
        seconds: time of training until then.
        seed: sample i is a function of it and i.
        labels: how labels were chosen: "reference" for the reference's proportions, or None.
        sampling: the settings, with nothing left to a default.
    """

    source: str
    hash: str
    weights: str | None = None
    images_seen: int | None = None
    seconds: float | None = None
    seed: int | None = None
    labels: Literal["reference"] | None = None
    sampling: SamplingConfig | None = None


class Frechet(Estimate):
    """Fréchet distance.

    Attributes:
        floor: what as many real images score against the others; None where there are too few.
    """

    floor: float | None = None


class Accuracy(Strict):
    """How often a linear classifier, fitted on the reference's features, reads a sample as the class it was asked for.

    Attributes:
        value: of the samples.
        real: of reference images that it was not fitted on.
        by_class: of the samples of each class.
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
    """A sample beside the training image nearest to it.

    Attributes:
        sample: its file name, or its index in the seed's set.
        training: name of the training image.
        distance: relative to that usual among training images there; below the threshold it counts as a copy.
        places: numbers of the two in their sets.
    """

    sample: str
    training: str
    distance: float
    copied: bool
    places: tuple[int, int]


class Memorisation(Strict):
    """Whether samples are copies of training images.

    Attributes:
        source: of the training images, as it was given.
        images: how many.
        copies: samples that are.
        rate: their share, with a 95 % Wilson interval.
        threshold: relative distance below which a sample counts as a copy.
        held_out: the same share of real images that were not trained on: the false alarms; None without such images.
        median: of the samples' relative distances.
        held_out_median: of the held-out images'.
        closest: the closest pairs, the closest first: all copies, up to a thousand, and 16 pairs at the least.
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
        frechet: Fréchet distance of the features' Gaussians, from 0, less is better.
        kid: kernel distance, unbiased, about 0 for the same distribution.
        precision, recall: Kynkäänniemi et al. 2019, 0 to 1.
        density, coverage: Naeem et al. 2020.
        inception_score: where the features have classes.
        copy_rate: ``memorisation.rate.value``, where anyone looks for it.
        notes: what a reader should know of this score.
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
        """The metrics with intervals that this score has, by name."""
        names = ("frechet", "kid", "precision", "recall", "density", "coverage", "inception_score")
        return {name: value for name in names if (value := getattr(self, name)) is not None}

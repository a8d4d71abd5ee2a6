"""The score of a super-resolution run."""

from typing import ClassVar

from ddpm.config.sampling import SamplingConfig
from ddpm.records.score import FeaturesRecord, ReferenceRecord
from ddpm.system.record import Record, Strict

FILE = "upscaling.json"


class Fidelity(Strict):
    """The quality of enlarged images.

    Attributes:
        psnr, ssim: similarity to the large images (dB; at most 1), averaged over all; SSIM needs sides of at least 11.
        frechet: Fréchet distance to all real images.
        consistency: PSNR of the box means against the small images, in dB, from the error over all images.
        mean_difference: from the large images, per channel, in units of 1 / 255.
    """

    psnr: float
    ssim: float | None
    frechet: float
    consistency: float
    mean_difference: tuple[float, ...]


class UpscalingScore(Record):
    """The quality of a run's enlargements, compared with bicubic interpolation.

    Attributes:
        source, weights: the run, and a hash of its weights.
        n: the number of enlarged images.
        reference: the real images.
        seed, sampling, augment, consistent: how the run sampled.
    """

    WRITER: ClassVar[str] = "ddpm evaluate"
    made_by: str
    source: str
    weights: str
    n: int
    features: FeaturesRecord
    reference: ReferenceRecord
    seed: int
    sampling: SamplingConfig
    augment: float
    consistent: bool
    run: Fidelity
    bicubic: Fidelity

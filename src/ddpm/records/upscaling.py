"""How well a run makes small images large."""

from typing import ClassVar

from ddpm.config.sampling import SamplingConfig
from ddpm.records.score import FeaturesRecord, ReferenceRecord
from ddpm.system.record import Record, Strict

FILE = "upscaling.json"


class Fidelity(Strict):
    """Of enlarged images.

    Attributes:
        psnr, ssim: to the large images, in dB and up to 1, the mean over all; SSIM needs sides of 11.
        frechet: distance to all real images.
        consistency: PSNR of the means of boxes against the small images, in dB, of the error of all.
        mean_difference: to the large images, of each channel, in units of 1 / 255.
    """

    psnr: float
    ssim: float | None
    frechet: float
    consistency: float
    mean_difference: tuple[float, ...]


class UpscalingScore(Record):
    """How well a run makes small images large, beside bicubic interpolation.

    Attributes:
        source, weights: the run, and a hash of its weights.
        n: images that were made large.
        reference: the real images.
        seed, sampling, augment, consistent: how the run drew.
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

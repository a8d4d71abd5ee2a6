"""The quality of an autoencoder's reconstructions."""

from typing import ClassVar

from ddpm.records.score import FeaturesRecord
from ddpm.system.record import Record, Strict


class ReconstructionDistance(Strict):
    """The Fréchet distance of the reconstructions from their originals (rFID).

    Attributes:
        trained_on: Whether the loss used the same features, so that the distance flatters the autoencoder.
    """

    features: FeaturesRecord
    frechet: float
    trained_on: bool


class ReconstructionLPIPS(Strict):
    """The LPIPS of the reconstructions, averaged over the images.

    Attributes:
        weights: The hash of its weights and its preprocessing.
        trained_on: Whether the loss used it, so that it flatters the autoencoder.
    """

    mean: float
    weights: str
    trained_on: bool


class ReconstructionRecord(Record):
    """``reconstruction.json``: held-out images against their reconstructions from the mean of the latents.

    Attributes:
        weights: The hash of the autoencoder's weights.
        n: The number of images.
        held_out: Whether they were held out; a data set too small for that is measured on its training images.
        psnr, ssim: Similarity, in dB and at most 1, averaged over the images; SSIM needs sides of at least 11.
        lpips: LPIPS; None if its weights were not given.
        distances: One for each set of features; empty with fewer than 2 images.
    """

    WRITER: ClassVar[str] = "ddpm train --recipe autoencoder"
    weights: str
    n: int
    held_out: bool
    psnr: float
    ssim: float | None
    lpips: ReconstructionLPIPS | None = None
    distances: tuple[ReconstructionDistance, ...]

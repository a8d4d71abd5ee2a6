"""The statistics of an autoencoder's latents."""

from hashlib import sha256
from typing import Annotated, ClassVar

from pydantic import AfterValidator

from ddpm.system.record import Record, finite


class LatentsRecord(Record):
    """``latents.json``: the latents of the training images.

    Attributes:
        mean, spread: The mean and the standard deviation of each channel.
        posterior: The mean standard deviation that the encoder gives each channel; None if it was not measured.
        weights: The hash of the autoencoder's weights.
        held_out: The standard deviation of each channel over the held-out images, relative to ``spread``: about 1 if
            the latents of new images are like these. None without held-out images.
    """

    WRITER: ClassVar[str] = "ddpm train --recipe autoencoder"
    mean: Annotated[list[float], AfterValidator(finite)]
    spread: Annotated[list[float], AfterValidator(finite)]
    posterior: list[float] | None = None
    weights: str
    held_out: list[float] | None = None

    @property
    def statistics(self) -> str:
        """The hash of the mean and spread."""
        return sha256(repr((self.mean, self.spread)).encode()).hexdigest()[:16]

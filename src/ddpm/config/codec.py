"""Codecs between 8-bit images and the diffused tensors."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from ddpm.system.limits import LARGEST_SIDE, MOST_CHANNELS
from ddpm.system.record import Strict, at_most, bounds
from ddpm.system.tree import Short

SPREAD = 0.5
"""Standard deviation of images in [-1, 1] where a run does not record its own (Karras et al. 2022)."""


class PixelCodecConfig(Strict):
    """Diffusion in pixel space, in [-1, 1]."""

    kind: Literal["pixel"] = "pixel"

    @property
    def factor(self) -> int:
        """The side, in pixels, of one position of x."""
        return 1

    @property
    def in_pixels(self) -> bool:
        """Whether x0 is the image itself, each of its values v as ``v / 127.5 - 1``.

        Only then does x0 lie in [-1, 1], are its bits per dimension those of the image, and do operators on the image
        apply to x0.
        """
        return True

    @property
    def words(self) -> str:
        """A short description; empty for pixels."""
        return ""

    def channels(self, image: int) -> int:
        """The number of channels of x for a number of image channels."""
        return image

    def spread(self, images: Sequence[float]) -> float:
        """The standard deviation of x0, from that of each channel of the images in [-1, 1], if known."""
        return sum(images) / (len(images) or 1) or SPREAD


class AutoencoderCodecConfig(Strict):
    """Diffusion in the latents of an autoencoder, of which the run folder holds a copy.

    Attributes:
        source: The autoencoder's run folder, as given.
        weights: The hash of its weights.
        statistics: The hash of the mean and spread of its latents; None in older runs.
        factor: The side, in pixels, of one position of the latents.
        image_channels: The channels of an image.
        latent_channels: The channels of the latents.
    """

    kind: Literal["autoencoder"] = "autoencoder"
    source: str
    weights: str
    statistics: str | None = None
    factor: Annotated[int, bounds(1), at_most(LARGEST_SIDE)]
    image_channels: Annotated[int, bounds(1), at_most(MOST_CHANNELS)]
    latent_channels: Annotated[int, bounds(1), at_most(MOST_CHANNELS)]

    @property
    def in_pixels(self) -> bool:
        return False

    @property
    def words(self) -> str:
        """A short description: "of the autoencoder runs/ae"."""
        return f"of the autoencoder {self.source}"

    def channels(self, image: int) -> int:
        """The number of channels of x.

        Raises:
            ValueError: the images have another number of channels than the autoencoder's.
        """
        if image != self.image_channels:
            raise ValueError(f"the autoencoder {self.source} encodes {self.image_channels} channels, not {image}")
        return self.latent_channels

    def spread(self, images: Sequence[float]) -> float:
        """1, as latents are normalised."""
        return 1.0


CodecConfig = Annotated[PixelCodecConfig | AutoencoderCodecConfig, Field(discriminator="kind"), Short("kind")]

"""Codecs between 8-bit images and the diffused tensors."""

from typing import Annotated, Literal

from ddpm.system.record import Strict
from ddpm.system.tree import Short


class PixelCodecConfig(Strict):
    """Diffusion in pixel space, in [-1, 1]."""

    kind: Literal["pixel"] = "pixel"

    @property
    def factor(self) -> int:
        """The side, in pixels, of one position of x."""
        return 1

    def channels(self, image: int) -> int:
        """The number of channels of x for a number of image channels."""
        return image


CodecConfig = Annotated[PixelCodecConfig, Short("kind")]

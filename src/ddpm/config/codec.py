"""Between 8-bit images and what is diffused."""

from typing import Annotated, Literal

from ddpm.system.record import Strict
from ddpm.system.tree import Short


class PixelCodecConfig(Strict):
    """Pixels themselves, in [-1, 1]."""

    kind: Literal["pixel"] = "pixel"

    @property
    def factor(self) -> int:
        """Pixels a side of one position of x."""
        return 1

    def channels(self, image: int) -> int:
        """Channels of x for an image's."""
        return image


CodecConfig = Annotated[PixelCodecConfig, Short("kind")]

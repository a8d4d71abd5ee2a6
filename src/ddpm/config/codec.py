"""Between 8-bit images and what is diffused."""

from typing import Annotated, Literal

from ddpm.system.record import Strict
from ddpm.system.tree import Short


class PixelCodecConfig(Strict):
    """Pixels themselves, in [-1, 1]."""

    kind: Literal["pixel"] = "pixel"


CodecConfig = Annotated[PixelCodecConfig, Short("kind")]

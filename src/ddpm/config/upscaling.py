"""Super-resolution settings."""

from typing import Annotated, Self

from pydantic import model_validator

from ddpm.system.names import InterpolationName
from ddpm.system.record import Strict, at_most, bounds

DEFAULT_SCALE = 4


class UpscalingConfig(Strict):
    """The super-resolution that a run learns.

    Attributes:
        scale: The upscaling factor of each side.
        interpolation: How the small image is upscaled before the network sees it.
        s_max: The strongest noise on the upscaled image in training, where 1 is pure noise.
        augment: The default noise on it when sampling.
        consistent: Whether samples must by default average to the small image.
        low: The source of the small images; None to downscale the large ones.
        low_fingerprint: The hash of the prepared small images.
    """

    scale: Annotated[int, bounds(2), at_most(1024)] = DEFAULT_SCALE
    interpolation: InterpolationName = "bicubic"
    s_max: Annotated[float, bounds(0, 1, below=True)] = 0.5
    augment: float = 0.0
    consistent: bool = True
    low: str | None = None
    low_fingerprint: str | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if not 0 <= self.augment <= self.s_max:
            raise ValueError(f"augment must be between 0 and s_max, {self.s_max:g}, not {self.augment}")
        if (self.low is None) != (self.low_fingerprint is None):
            raise ValueError("low and low_fingerprint belong together; set both or neither")
        return self

"""Super-resolution."""

from typing import Self

from pydantic import model_validator

from ddpm.system.record import Strict

DEFAULT_SCALE = 4


class UpscalingConfig(Strict):
    """What a run learns to make large.

    Attributes:
        scale: pixels a side of the large image for one of the small image.
        s_max: strongest noise on the enlarged image in training, as a share of all noise.
        augment: the same when images are drawn, unless asked otherwise.
        consistent: whether what is drawn is held to average to the small image, unless asked otherwise.
        low: where small images came from; None where they are made of the large ones.
        low_fingerprint: hash of the small images as prepared.
    """

    scale: int = DEFAULT_SCALE
    s_max: float = 0.5
    augment: float = 0.0
    consistent: bool = True
    low: str | None = None
    low_fingerprint: str | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.scale < 2:
            raise ValueError(f"scale must be at least 2, not {self.scale}")
        if not 0 <= self.s_max < 1:
            raise ValueError(f"s_max must be at least 0 and below 1, not {self.s_max}")
        if not 0 <= self.augment <= self.s_max:
            raise ValueError(f"augment must be between 0 and s_max, {self.s_max:g}, not {self.augment}")
        if (self.low is None) != (self.low_fingerprint is None):
            raise ValueError("low and low_fingerprint are of the same images; give both or neither")
        return self

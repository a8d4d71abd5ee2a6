"""The shape of the published classifiers of noised images."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import model_validator

from ddpm.config.plain_unet import PlainUNetSettings
from ddpm.system.names import PoolName
from ddpm.system.record import Strict, bounds


class PlainClassifierSettings(Strict):
    """The shape of the classifiers of Dhariwal & Nichol 2021.

    Attributes:
        backbone: The U-Net whose downsampling half and middle are used; its output has one channel per class.
        pool: How the features become logits: by attention to all positions, or by their average.
        positions: The number of positions of the coarsest level that attention knows; None for any number.
        pool_heads: The heads of that attention.
    """

    cond_width: ClassVar[None] = None
    token_width: ClassVar[None] = None
    kind: Literal["plain-classifier"] = "plain-classifier"
    backbone: PlainUNetSettings
    pool: PoolName = "attention"
    positions: Annotated[int | None, bounds(1)] = None
    pool_heads: Annotated[int, bounds(1)] = 1

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for name in ("cond_width", "token_width"):
            if getattr(self.backbone, name) is not None:
                raise ValueError(f"backbone.{name} must be null: a classifier is not conditioned")
        if self.backbone.channels[-1] % self.pool_heads:
            raise ValueError(
                f"pool_heads is {self.pool_heads}; it must divide {self.backbone.channels[-1]}, the channels"
            )
        return self

    @property
    def in_channels(self) -> int:
        """The channels of x."""
        return self.backbone.in_channels

    @property
    def out_channels(self) -> int:
        """The number of classes."""
        return self.backbone.out_channels

    def describe(self) -> str:
        """A one-line summary: "first half of a plain U-Net, width 128, channel multipliers 1 2 3 4"."""
        return f"first half of a {self.backbone.describe()}"

"""The shape of lucidrains' U-Net."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import model_validator

from ddpm.config.encoder import encoder_width
from ddpm.config.options import Flag
from ddpm.system.limits import MOST_CHANNELS, MOST_LEVELS
from ddpm.system.names import AttentionFormName
from ddpm.system.record import Strict, at_most, bounds


class LucidrainsUNetSettings(Strict):
    """The shape of the U-Net of lucidrains' denoising-diffusion-pytorch; the defaults are those of that program.

    A tuple with one value per level lists the finest first.

    Attributes:
        in_channels: The channels of x, plus those of the condition's image if there is one.
        out_channels: The channels of the output; twice as many with a learned variance.
        width: The features of the timestep, and the unit of the channels.
        stem: The channels of the first convolution, and of the finest level's blocks; None for width.
        multipliers: The channels after each level, as multiples of width; each level halves the resolution.
        attention: The attention of each level; the middle has full attention.
        heads, head_width: The attention heads of each level and their channels; the middle has those of the coarsest.
        memory: The number of learned keys and values of each attention.
        dropout: The dropout probability in each residual block.
        space: The number of spatial axes.
        cond_width: D of the condition's vector; None for a network without conditions, as all of that program are.
    """

    kind: Literal["lucidrains-unet"] = "lucidrains-unet"
    in_channels: Annotated[int, bounds(1), at_most(MOST_CHANNELS)] = 3
    out_channels: Annotated[int, bounds(1), at_most(MOST_CHANNELS)] = 3
    width: Annotated[int, bounds(4), at_most(MOST_CHANNELS), Flag("Channels at the network's finest level.")] = 64
    stem: Annotated[int | None, bounds(1), at_most(MOST_CHANNELS)] = None
    multipliers: Annotated[tuple[Annotated[int, bounds(1)], ...], at_most(1024, MOST_LEVELS)] = (1, 2, 4, 8)
    attention: tuple[AttentionFormName, ...] = ("linear", "linear", "linear", "full")
    heads: Annotated[tuple[Annotated[int, bounds(1)], ...], at_most(MOST_CHANNELS, MOST_LEVELS)] = (4, 4, 4, 4)
    head_width: Annotated[tuple[Annotated[int, bounds(1)], ...], at_most(MOST_CHANNELS, MOST_LEVELS)] = (32, 32, 32, 32)
    memory: Annotated[int, bounds(0), at_most(MOST_CHANNELS)] = 4
    dropout: Annotated[float, bounds(0, 1, below=True)] = 0.0
    space: Literal[1, 2, 3] = 2
    cond_width: Annotated[int | None, bounds(1), at_most(MOST_CHANNELS)] = None

    @model_validator(mode="before")
    @classmethod
    def _as_many_levels(cls, given: Any) -> Any:
        """Attention follows from the number of levels: full at the coarsest, and the same heads at all."""
        if not isinstance(given, Mapping) or not isinstance(levels := given.get("multipliers"), list | tuple):
            return given
        n = len(levels)
        usual = {"attention": ("linear",) * (n - 1) + ("full",), "heads": (4,) * n, "head_width": (32,) * n}
        return usual | dict(given)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.width % 2:
            raise ValueError(f"width is {self.width}; it must be even")
        if not self.multipliers:
            raise ValueError("multipliers is empty; use one positive integer per level")
        for name in ("attention", "heads", "head_width"):
            given, levels = len(getattr(self, name)), len(self.multipliers)
            if given != levels:
                raise ValueError(f"{name} has {given} values; it must have {levels}, the number of levels")
        return self

    @property
    def token_width(self) -> None:
        """None, as this network takes no tokens."""

    @property
    def channels(self) -> tuple[int, ...]:
        """The channels of each level's blocks, finest first, and of the middle."""
        return (self.stem or self.width, *(self.width * m for m in self.multipliers))

    @property
    def divisor(self) -> int:
        """The number that must divide each side of an image."""
        return int(2 ** (len(self.multipliers) - 1))

    def encoder(self, width: int | None, in_channels: int, out_channels: int) -> dict[str, Any]:
        """The settings of a classifier for the images of this network: half its width unless ``width`` is given."""
        return {
            "kind": "unet",
            "in_channels": in_channels,
            "out_channels": out_channels,
            "width": encoder_width(width, self.width),
            "multipliers": self.multipliers,
            "attention": (self.divisor,),
            "dropout": self.dropout,
            "space": self.space,
        }

    @classmethod
    def default_cond_width(cls, tree: Mapping[str, Any]) -> Any:
        """The width of the condition's vector for the settings in a tree: their own width."""
        return tree.get("width", cls.model_fields["width"].default)

    def describe(self) -> str:
        """A one-line summary: "lucidrains' U-Net, width 64, channel multipliers 1 2 4 8"."""
        return f"lucidrains' U-Net, width {self.width}, channel multipliers {' '.join(map(str, self.multipliers))}"

"""The shapes of diffusion transformers."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import model_validator

from ddpm.config.encoder import encoder_width
from ddpm.config.options import Flag
from ddpm.system.limits import LARGEST_SIDE, MOST_BLOCKS, MOST_CHANNELS
from ddpm.system.names import TransformerSizeName
from ddpm.system.record import Strict, at_most, bounds


class TransformerSize(NamedTuple):
    """The number of blocks, the channels of a token, and the attention heads of a named size."""

    depth: int
    width: int
    heads: int


SIZES: dict[str, TransformerSize] = {
    "XXS": TransformerSize(4, 128, 2),
    "XS": TransformerSize(6, 256, 4),
    "S": TransformerSize(12, 384, 6),
    "B": TransformerSize(12, 768, 12),
    "L": TransformerSize(24, 1024, 16),
    "XL": TransformerSize(28, 1152, 16),
}
"""S to XL are those of Peebles & Xie 2023, table 1; the smaller ones suit training on a CPU."""
MOST_ENCODER = 128
"""The largest default width of a classifier's U-Net."""


class _Transformer(Strict):
    """The settings of any transformer, of which every kind has its own class.

    Attributes:
        in_channels: The channels of x, plus those of the condition's image if there is one.
        out_channels: The channels of the output; twice as many with a learned variance.
        size: The named size, whose depth, width and heads are the defaults.
        depth: The number of blocks.
        width: The channels of a token.
        heads: The attention heads, which divide the width.
        patch: The side, in pixels, of the patch that forms a token.
        space: The number of spatial axes.
        cond_width: D of the condition's vector; None for a network without conditions.
        checkpoint: Whether to recompute the activations inside the blocks for the gradient instead of storing them.
    """

    in_channels: Annotated[int, bounds(1), at_most(MOST_CHANNELS)] = 3
    out_channels: Annotated[int, bounds(1), at_most(MOST_CHANNELS)] = 3
    size: TransformerSizeName = "S"
    depth: Annotated[int, bounds(1), at_most(MOST_BLOCKS)] = SIZES["S"].depth
    width: Annotated[int, bounds(4), at_most(MOST_CHANNELS), Flag("Channels at the network's finest level.")] = SIZES[
        "S"
    ].width
    heads: Annotated[int, bounds(1), at_most(MOST_CHANNELS)] = SIZES["S"].heads
    patch: Annotated[int, bounds(1), at_most(LARGEST_SIDE)] = 2
    space: Literal[1, 2, 3] = 2
    cond_width: Annotated[int | None, bounds(1), at_most(MOST_CHANNELS)] = None
    checkpoint: bool = False

    @model_validator(mode="before")
    @classmethod
    def _sized(cls, given: Any) -> Any:
        """Depth, width and heads follow from the named size."""
        size = SIZES.get(str(given.get("size", "S"))) if isinstance(given, Mapping) else None
        return given if size is None else {**size._asdict(), **given}

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"heads is {self.heads}; it must divide {self.width}, the width")
        return self

    @property
    def divisor(self) -> int:
        """The number that must divide each side of an image."""
        return self.patch

    @classmethod
    def default_cond_width(cls, tree: Mapping[str, Any]) -> Any:
        """The width of the condition's vector for the settings in a tree: their own width."""
        return tree.get("width", SIZES.get(str(tree.get("size", "S")), SIZES["S"]).width)

    def encoder(self, width: int | None, in_channels: int, out_channels: int) -> dict[str, Any]:
        """The settings of a classifier for the images of this network: a U-Net of one level with attention."""
        shape = {"multipliers": (1,), "attention": (self.patch,), "patch": self.patch, "space": self.space}
        width = encoder_width(width, self.width, MOST_ENCODER)
        channels = {"in_channels": in_channels, "out_channels": out_channels}
        return {"kind": "unet", "width": width, "norm": "layer", "checkpoint": self.checkpoint, **shape, **channels}

    def _shape(self) -> str:
        return f"{self.depth} blocks, width {self.width}, {self.heads} heads, patch size {self.patch}"


class DiTSettings(_Transformer):
    """The shape of a modern diffusion transformer; the defaults have the size of DiT-S/2.

    Attributes:
        class_tokens: The number of tokens made from the condition's vector, which are prepended to those of the image;
            without a condition, they are learned constants (Darcet et al. 2023).
        bottleneck: The channels of a layer between a patch and its token (Li & He 2025); 0 for none.
        long_skips: Whether each block of the second half also gets the output of its counterpart in the first, the
            last one that of the first (Bao et al. 2022).
        final_conv: Whether a final convolution smooths the edges of the patches (Bao et al. 2022).
        dropout: The dropout probability in each feed-forward network.
    """

    kind: Literal["dit"] = "dit"
    class_tokens: Annotated[int, bounds(0), at_most(MOST_CHANNELS)] = 0
    bottleneck: Annotated[int, bounds(0), at_most(MOST_CHANNELS)] = 0
    long_skips: bool = False
    final_conv: bool = False
    dropout: Annotated[float, bounds(0, 1, below=True)] = 0.0

    @model_validator(mode="after")
    def _fits_positions(self) -> Self:
        if self.width // self.heads % 2 or self.width // self.heads < 2 * self.space:
            raise ValueError(
                f"heads is {self.heads}; each needs an even number of channels, at least {2 * self.space}, for its "
                f"positions, but has {self.width // self.heads}"
            )
        return self

    @property
    def token_width(self) -> int | None:
        """E of the condition's tokens: that of its vector, as one layer embeds both."""
        return self.cond_width

    def describe(self) -> str:
        """A one-line summary: "DiT, 12 blocks, width 384, 6 heads, patch size 2"."""
        return f"DiT, {self._shape()}"


class PlainDiTSettings(_Transformer):
    """The shape of the transformer of Peebles & Xie 2023; the defaults are DiT-S/2.

    Attributes:
        norm_eps: The number added to the variance by the normalisation before each MLP.
        frequency_shift: 1 if the frequencies of the timestep reach 1 / 10000, as in diffusers; 0 if they end before, as
            published.
    """

    kind: Literal["plain-dit"] = "plain-dit"
    norm_eps: Annotated[float, bounds(0, above=True)] = 1e-6
    frequency_shift: Literal[0, 1] = 1

    @model_validator(mode="after")
    def _fits_positions(self) -> Self:
        if self.width % (2 * self.space):
            raise ValueError(f"width is {self.width}; it must be divisible by {2 * self.space}, for its positions")
        if self.cond_width not in (None, self.width):
            raise ValueError(f"cond_width is {self.cond_width}; it must be {self.width}, the width, or None")
        return self

    @property
    def token_width(self) -> None:
        """None, as this network takes no tokens."""

    def describe(self) -> str:
        """A one-line summary: "plain DiT, 12 blocks, width 384, 6 heads, patch size 2"."""
        return f"plain DiT, {self._shape()}"

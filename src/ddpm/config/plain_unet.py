"""The shape of the published U-Nets."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import model_validator

from ddpm.config.encoder import encoder_width
from ddpm.config.options import Flag
from ddpm.system.limits import MOST_BLOCKS, MOST_CHANNELS, MOST_LEVELS
from ddpm.system.names import AttentionName, DownsamplingName, UpsamplingName
from ddpm.system.record import Strict, at_most, bounds

Value = TypeVar("Value")


class PlainUNetSettings(Strict):
    """The shape of the U-Nets of Dhariwal & Nichol 2021, Rombach et al. 2022 and diffusers.

    A tuple has one value per level, finest first, or a single one for all levels.

    Attributes:
        in_channels: The channels of x, plus those of the condition's image if there is one.
        out_channels: The channels of the output; twice as many with a learned variance.
        width: The features of the timestep, and the unit of the channels.
        multipliers: The channels of each level, as multiples of width; each level halves the resolution.
        blocks: The residual blocks per level when downsampling; one more when upsampling.
        attention: What follows each block: no attention, self-attention, or a transformer, which also attends to the
            condition's tokens. With tokens, and no transformer at any level, self-attention is one.
        attention_up: The same when upsampling; None for as when downsampling.
        middle: What stands between the two blocks at the coarsest level.
        middle_blocks: The residual blocks there; none has no middle, and one has no attention.
        heads: The attention heads; those of the coarsest level are also those of the middle.
        depth: The layers of a transformer; those of the coarsest level are also those of the middle.
        downsample: How a level leads to the next: by a convolution, a residual block or an average of 2 × 2 positions.
        upsample: The same upwards: by a convolution or a residual block after nearest neighbours, or by these alone.
        padding: The padding of the downsampling convolution at both ends; 0 for one position at the far end only.
        norm_groups, norm_eps: The groups of group normalisation, and what it adds to the variance.
        dropout: The dropout probability in each residual block.
        scale_shift: Whether the time embedding scales and shifts the normalised features instead of being added.
        frequency_shift: 1 if the frequencies of the timestep reach 1 / 10000, 0 if they end before.
        space: The number of spatial axes.
        cond_width: D of the condition's vector, which is added to the time embedding; None for a network without one.
        token_width: E of the condition's tokens; None for a network without tokens.
        checkpoint: Whether to recompute the activations inside the blocks for the gradient instead of storing them.
    """

    kind: Literal["plain-unet"] = "plain-unet"
    in_channels: Annotated[int, bounds(1), at_most(MOST_CHANNELS)] = 3
    out_channels: Annotated[int, bounds(1), at_most(MOST_CHANNELS)] = 3
    width: Annotated[int, bounds(4), at_most(MOST_CHANNELS), Flag("Channels at the network's finest level.")] = 64
    multipliers: Annotated[tuple[Annotated[float, bounds(0, above=True)], ...], at_most(1024, MOST_LEVELS)] = (1, 2, 2)
    blocks: Annotated[tuple[Annotated[int, bounds(1)], ...], at_most(MOST_BLOCKS, MOST_LEVELS)] = (2,)
    attention: tuple[AttentionName, ...] = ("none", "self", "self")
    attention_up: tuple[AttentionName, ...] | None = None
    middle: AttentionName = "self"
    middle_blocks: Literal[0, 1, 2] = 2
    heads: Annotated[tuple[Annotated[int, bounds(1)], ...], at_most(MOST_CHANNELS, MOST_LEVELS)] = (4,)
    depth: Annotated[tuple[Annotated[int, bounds(1)], ...], at_most(MOST_BLOCKS, MOST_LEVELS)] = (1,)
    downsample: tuple[DownsamplingName, ...] = ("conv",)
    upsample: tuple[UpsamplingName, ...] = ("conv",)
    padding: Literal[0, 1] = 1
    norm_groups: Annotated[int, bounds(1)] = 16
    norm_eps: Annotated[float, bounds(0, above=True)] = 1e-5
    dropout: Annotated[float, bounds(0, 1, below=True)] = 0.0
    scale_shift: bool = False
    frequency_shift: Literal[0, 1] = 0
    space: Literal[1, 2, 3] = 2
    cond_width: Annotated[int | None, bounds(1), at_most(MOST_CHANNELS)] = None
    token_width: Annotated[int | None, bounds(1), at_most(MOST_CHANNELS)] = None
    checkpoint: bool = False

    @model_validator(mode="before")
    @classmethod
    def _attends_to_tokens(cls, given: Any) -> Any:
        if not isinstance(given, dict) or given.get("token_width") is None:
            return given
        given = {"middle": "transformer", "attention": cls.model_fields["attention"].default} | given
        levels = {n: given[n] for n in ("attention", "attention_up") if isinstance(given.get(n), list | tuple)}
        if any("transformer" in values for values in levels.values()):
            return given
        return given | {name: tuple(map(_attending, values)) for name, values in levels.items()}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        n = len(self.multipliers)
        if self.width % 2:
            raise ValueError(f"width is {self.width}; it must be even")
        if not n or any(abs(self.width * m - round(self.width * m)) > 1e-6 for m in self.multipliers):
            raise ValueError(f"multipliers is {self.multipliers}; each level needs a whole number of channels")
        for name in ("blocks", "attention", "attention_up", "heads", "depth", "downsample", "upsample"):
            values = getattr(self, name)
            if values is not None and len(values) not in (1, n):
                raise ValueError(f"{name} has {len(values)} values; it must have 1, or {n}, the number of levels")
        if math.gcd(*self.channels) % self.norm_groups:
            raise ValueError(
                f"norm_groups is {self.norm_groups}; it must divide {math.gcd(*self.channels)}, as it must divide the "
                "channels of each level"
            )
        for i, c in enumerate(self.channels):
            kinds = {at_level(self.attention, i), at_level(self.attention_up or self.attention, i)}
            kinds |= {self.middle} if i == n - 1 and self.middle_blocks == 2 else set()
            if kinds != {"none"} and c % at_level(self.heads, i):
                raise ValueError(f"heads is {self.heads}; {at_level(self.heads, i)} must divide {c}, the channels")
        if self.cond_width not in (None, self.time_width):
            raise ValueError(f"cond_width is {self.cond_width}; it must be {self.time_width}, 4 times width, or None")
        if self.token_width is not None and not self.attends:
            raise ValueError(
                f"token_width is {self.token_width}, but no level attends to tokens; set attention to transformer"
            )
        return self

    @property
    def channels(self) -> tuple[int, ...]:
        """The channels of each level, finest first."""
        return tuple(round(self.width * m) for m in self.multipliers)

    @property
    def time_width(self) -> int:
        """The width of the time embedding."""
        return 4 * self.width

    @property
    def divisor(self) -> int:
        """The number that must divide each side of an image."""
        return int(2 ** (len(self.multipliers) - 1))

    @property
    def attends(self) -> bool:
        """Whether any part of the network is a transformer."""
        middle = (self.middle,) if self.middle_blocks == 2 else ()
        return "transformer" in (*self.attention, *(self.attention_up or ()), *middle)

    def encoder(self, width: int | None, in_channels: int, out_channels: int) -> dict[str, Any]:
        """The settings of a classifier for the images of this network: half its width unless ``width`` is given."""
        levels = range(len(self.multipliers))
        return {
            "kind": "unet",
            "in_channels": in_channels,
            "out_channels": out_channels,
            "width": encoder_width(width, self.width),
            "multipliers": tuple(max(1, round(m)) for m in self.multipliers),
            "blocks": max(self.blocks),
            "attention": tuple(2**i for i in levels if at_level(self.attention, i) != "none"),
            "dropout": self.dropout,
            "space": self.space,
            "scale_shift": self.scale_shift,
            "checkpoint": self.checkpoint,
        }

    @classmethod
    def default_cond_width(cls, tree: Mapping[str, Any]) -> Any:
        """The width of the condition's vector for the settings in a tree: that of the time embedding."""
        width = tree.get("width", cls.model_fields["width"].default)
        return 4 * width if isinstance(width, int) else width

    def describe(self) -> str:
        """A one-line summary: "plain U-Net, width 64, channel multipliers 1 2 2"."""
        multipliers = " ".join(f"{m:g}" for m in self.multipliers)
        return f"plain U-Net, width {self.width}, channel multipliers {multipliers}"


def _attending(name: Any) -> Any:
    """Self-attention as a transformer, which also attends to tokens."""
    return "transformer" if name == "self" else name


def at_level(values: tuple[Value, ...], level: int) -> Value:
    """The value of a level: there is one per level, or a single one for all."""
    return values[level % len(values)]

"""The shape of a network."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from ddpm.config.dit import DiTSettings, PlainDiTSettings
from ddpm.config.encoder import encoder_width
from ddpm.config.lucidrains_unet import LucidrainsUNetSettings
from ddpm.config.options import Flag
from ddpm.config.plain_unet import PlainUNetSettings
from ddpm.system.limits import Blocks, Channels, Multipliers, Side
from ddpm.system.names import NormName, SkipsName, UpsampleName
from ddpm.system.tree import Short, groups, hints, short


@dataclass(frozen=True)
class UNetSettings:
    """The shape of a U-Net. With dropout = 0.1, the defaults are Ho et al.'s network for CIFAR-10.

    Attributes:
        kind: The name of this kind of network.
        in_channels: The channels of x, plus those of the condition's image if there is one.
        out_channels: The channels of the output; twice as many with a learned variance.
        width: The channels at the finest level, even.
        multipliers: The channels of each level, as multiples of width; each level halves the resolution.
        blocks: The residual blocks per level when downsampling; one more when upsampling.
        attention: The downsampling factors with self-attention: 2 is half the image's resolution.
        head_width: The channels of an attention head; None for a single head.
        dropout: The dropout probability in each residual block.
        space: The number of spatial axes.
        cond_width: D of the condition's vector; None for a network without conditions.
        token_width: E of the condition's tokens, which every block with self-attention also attends to; None for a
            network without tokens.
        scale_shift: Whether the time embedding scales and shifts the normalised features instead of being added
            (Dhariwal & Nichol 2021, sec. 3.1).
        patch: The side, in pixels, of the patches that form one position each (Hoogeboom et al. 2023).
        stem: The channels of a convolution at the pixels before and after the patches; 0 for none.
        norm: "group", or "layer" over the channels at each position, which is faster on a CPU.
        upsample: "conv", or "linear" without its convolution at the finer resolution.
        skips: The outputs that skip connections carry: "all", or only those of residual "blocks".
        checkpoint: Whether to recompute the activations inside the blocks for the gradient instead of storing them.
    """

    kind: Literal["unet"] = "unet"
    in_channels: Channels = 3
    out_channels: Channels = 3
    width: Annotated[Channels, Flag("Channels at the network's finest level.")] = 128
    multipliers: Multipliers = (1, 2, 2, 2)
    blocks: Blocks = 2
    attention: tuple[int, ...] = (2,)
    head_width: int | None = None
    dropout: float = 0.0
    space: Literal[1, 2, 3] = 2
    cond_width: Channels | None = None
    token_width: Channels | None = None
    scale_shift: bool = False
    patch: Side = 1
    stem: Channels = 0
    norm: NormName = "group"
    upsample: UpsampleName = "conv"
    skips: SkipsName = "all"
    checkpoint: bool = False

    def __post_init__(self) -> None:
        for name in ("in_channels", "out_channels", "blocks", "patch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.width < 4 or self.width % 2:
            raise ValueError(f"width is {self.width}; it must be even and at least 4")
        if not self.multipliers or min(self.multipliers) < 1:
            raise ValueError(f"multipliers is {self.multipliers}; use one positive integer per level")
        if strange := set(self.attention) - set(self.factors):
            raise ValueError(
                f"attention is at factors {sorted(strange)}; choose from {self.factors}, the levels' factors"
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}; it must be in [0, 1)")
        if self.space not in (1, 2, 3):
            raise ValueError(f"space is {self.space}; it must be 1, 2 or 3 spatial axes")
        if self.stem < 0:
            raise ValueError(f"stem is {self.stem}; it must be at least 0")
        if self.cond_width is not None and self.cond_width < 1:
            raise ValueError(f"cond_width is {self.cond_width}; it must be at least 1, or None for no condition")
        if self.token_width is not None and self.token_width < 1:
            raise ValueError(f"token_width is {self.token_width}; it must be at least 1, or None for no tokens")
        if self.head_width is not None:
            # The middle always has attention.
            attending = {c for c, f in zip(self.channels, self.factors, strict=True) if f in self.attention}
            for c in sorted(attending | {self.channels[-1]}):
                if self.head_width < 1 or c % self.head_width:
                    raise ValueError(f"head_width is {self.head_width}; it must divide {c}, the channels of a level")

    @property
    def channels(self) -> tuple[int, ...]:
        """The channels of each level, finest first."""
        return tuple(self.width * m for m in self.multipliers)

    @property
    def factors(self) -> tuple[int, ...]:
        """The downsampling factor of each level, finest first."""
        return tuple(self.patch * 2**i for i in range(len(self.multipliers)))

    @property
    def divisor(self) -> int:
        """The number that must divide each side of an image."""
        return self.factors[-1]

    def encoder(self, width: int | None, in_channels: int, out_channels: int) -> dict[str, Any]:
        """The settings of a classifier for the images of this network: half its width unless ``width`` is given."""
        fixed = {"in_channels": in_channels, "out_channels": out_channels, "stem": 0}
        none = {"cond_width": None, "token_width": None}
        return asdict(self) | fixed | none | {"width": encoder_width(width, self.width)}

    @classmethod
    def default_cond_width(cls, tree: Mapping[str, Any]) -> Any:
        """The width of the condition's vector for the settings in a tree: their own width."""
        return tree.get("width", cls.width)

    def describe(self) -> str:
        """A one-line summary: "U-Net, width 32, channel multipliers 1 2 2, patch size 2"."""
        multipliers = " ".join(map(str, self.multipliers))
        return f"U-Net, width {self.width}, channel multipliers {multipliers}, patch size {self.patch}"


NetworkSettings = Annotated[
    UNetSettings | DiTSettings | PlainDiTSettings | PlainUNetSettings | LucidrainsUNetSettings,
    Field(discriminator="kind"),
    Short("kind"),
    Flag(
        "Kind of network: a U-Net, a modern diffusion transformer, the original one (Peebles & Xie 2023), the "
        "published U-Nets, or lucidrains' one."
    ),
]
"""Settings of any kind of network. All kinds have ``in_channels``, ``out_channels``, ``width``, ``space``,
``cond_width``, ``token_width``, ``divisor``, ``encoder()``, ``default_cond_width()`` and ``describe()``. No other is
read by other packages, but for that of the network."""


def conditioned(tree: Mapping[str, Any], *, tokens: bool = False) -> dict[str, Any]:
    """A network's settings with a width for the condition's vector, by default that of its kind.

    Args:
        tokens: Whether the condition also has tokens; their width is by default that of the vector.
    """
    mark, members = short(NetworkSettings), groups(NetworkSettings)
    assert mark is not None
    kind: Any = mark.member(mark.full(tree, members), members)
    made = {"cond_width": kind.default_cond_width(tree), **tree}
    return {"token_width": made["cond_width"], **made} if tokens and "token_width" in hints(kind) else made

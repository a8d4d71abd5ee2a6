"""The configuration of an autoencoder."""

import math
import shlex
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from ddpm.config.autoencoding import AutoencodingConfig
from ddpm.config.data import DataConfig
from ddpm.config.options import Flag
from ddpm.config.tiny_autoencoder import TinyAutoencoderSettings
from ddpm.config.training import TrainSettings
from ddpm.system.limits import Blocks, Channels, Multipliers, Side
from ddpm.system.names import AutoencoderName, NormName
from ddpm.system.ranges import nearest_multiple
from ddpm.system.record import Record, at_most
from ddpm.system.tree import Short


@dataclass(frozen=True)
class AutoencoderSettings:
    """The shape of the autoencoder of Rombach et al. 2022. With a patch of 1, it is that of diffusers' AutoencoderKL.

    With a codebook, it is that of their VQModel.

    Attributes:
        kind: The name of this kind of network.
        image_channels: The channels of an image.
        channels: The channels of the latents.
        width: The channels at the finest level.
        multipliers: The channels of each level, as multiples of width; each level halves the resolution.
        blocks: The residual blocks per level of the encoder; the decoder has one more.
        attention: Whether to use self-attention at the coarsest level.
        patch: The side, in pixels, of the patches that form one position each at the finest level.
        norm: "group", or "layer" over the channels at each position, which is faster on a CPU.
        norm_groups: The number of groups of the group normalisation.
        codebook: The number of vectors, of which the decoder takes the nearest one in place of each latent; 0 for a
            decoder of the latents themselves.
        inner_channels: The channels between which and the latents a linear layer maps; None for as many as the latents.
    """

    kind: Literal["ldm"] = "ldm"
    image_channels: Channels = 3
    channels: Annotated[Channels, Flag("Channels of the latents.", name="latent_channels")] = 4
    width: Annotated[Channels, Flag("Channels at the network's finest level.")] = 128
    multipliers: Multipliers = (1, 2, 4)
    blocks: Blocks = 2
    attention: bool = True
    patch: Side = 1
    norm: NormName = "group"
    norm_groups: int = 32
    codebook: Annotated[int, at_most(1 << 24)] = 0
    inner_channels: Channels | None = None

    def __post_init__(self) -> None:
        for name in ("image_channels", "channels", "width", "blocks", "norm_groups"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.codebook < 0:
            raise ValueError(f"codebook is {self.codebook}; it must be at least 0")
        if self.inner_channels is not None and self.inner_channels < 1:
            raise ValueError(f"inner_channels is {self.inner_channels}; it must be at least 1")
        if not self.multipliers or min(self.multipliers) < 1:
            raise ValueError(f"multipliers is {self.multipliers}; use one positive integer per level")
        if self.patch < 1 or self.patch & (self.patch - 1):
            raise ValueError(f"patch is {self.patch}; it must be a power of two")
        if self.factor < 2:
            raise ValueError("the latents are as large as the image; use more multipliers or a larger patch")
        if self.norm == "group" and math.gcd(*self.widths) % self.norm_groups:
            raise ValueError(
                f"norm_groups is {self.norm_groups}; it must divide {math.gcd(*self.widths)}, as it must divide "
                "the channels of each level"
            )

    @property
    def factor(self) -> int:
        """The side, in pixels, of one position of the latents; it must divide each side of an image."""
        return int(self.patch * 2 ** (len(self.multipliers) - 1))

    @property
    def widths(self) -> tuple[int, ...]:
        """The channels of each level, finest first."""
        return tuple(self.width * m for m in self.multipliers)

    @property
    def stochastic(self) -> bool:
        """Whether the encoder gives a distribution of latents."""
        return not self.codebook

    def describe(self) -> str:
        """A one-line summary: "f4, 4 latent channels, width 32, channel multipliers 1 2 2, patch size 1"."""
        multipliers = " ".join(map(str, self.multipliers))
        codebook = f" of a codebook of {self.codebook:,}" if self.codebook else ""
        return (
            f"f{self.factor}, {self.channels} latent channels{codebook}, width {self.width}, channel multipliers "
            f"{multipliers}, patch size {self.patch}"
        )


AutoencoderNetwork = Annotated[
    AutoencoderSettings | TinyAutoencoderSettings, Field(discriminator="kind"), Short("kind")
]
"""Settings of any kind of autoencoder. All kinds have ``image_channels``, ``channels``, ``factor``, ``stochastic`` and
``describe()``. No other is read by other packages, but for that of the network."""

SAME = ("size", "mode", "fit", "skip_bad", "split", "max_pixels")
"""Flags of ``ddpm train`` that a model of the latents of the same images needs, too."""


class AutoencoderConfig(Record):
    """A fully resolved autoencoder.

    Attributes:
        kind: What the run is; diffusion models have no such key.
        request: The user's request, verbatim.
    """

    WRITER: ClassVar[str] = "ddpm train --recipe autoencoder"
    kind: AutoencoderName = "autoencoder"
    request: dict[str, Any]
    data: DataConfig
    network: AutoencoderNetwork
    objective: AutoencodingConfig = AutoencodingConfig()
    training: TrainSettings

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the latents."""
        height, width = (n // self.network.factor for n in self.data.size)
        return self.network.channels, height, width

    def follow_up(self, folder: object) -> str:
        """The command that trains a model on the latents of this autoencoder, whose run folder this is."""
        height, width = self.data.size
        known = {"size": f"{height}x{width}", "mode": self.data.mode, "fit": self.data.fit}
        same = {flag: known.get(flag, self.request[flag]) for flag in SAME if flag in self.request}
        flags = [
            word
            for flag, value in same.items()
            for word in (f"--{flag.replace('_', '-')}", *[str(value)] * (value is not True))
        ]
        return shlex.join(["ddpm", "train", self.data.source or "photos/", *flags, "--codec", str(folder)])

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        data, net = self.data, self.network
        if net.image_channels != len(data.mode):
            raise ValueError(f"network.image_channels must be {len(data.mode)} for {data.mode} images")
        if any(n % net.factor for n in data.size):
            height, width = (nearest_multiple(n, net.factor) for n in data.size)
            raise ValueError(
                f"images of {data.size[0]} × {data.size[1]} are not divisible by {net.factor}, the autoencoder's "
                f"factor; use the nearest size that is, --size {height}x{width}"
            )
        if self.training.images and not net.stochastic:
            raise ValueError(
                f"an autoencoder of {net.channels} latent channels without a distribution, as with network.codebook or "
                "network.kind tiny, can only be imported, not trained; use network.kind ldm without a codebook"
            )
        if self.training.label_dropout:
            raise ValueError("training.label_dropout must be 0: an autoencoder has no labels")
        return self

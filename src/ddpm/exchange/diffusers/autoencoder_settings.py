"""The settings of diffusers' autoencoders, as in their config.json."""

import math
from collections.abc import Collection, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field

from ddpm.config.autoencoder import AutoencoderSettings
from ddpm.config.tiny_autoencoder import TinyAutoencoderSettings
from ddpm.exchange.diffusers.folder import parsed
from ddpm.system.errors import InputError
from ddpm.system.record import Strict, bounds

Whole = Annotated[int, bounds(1)]
Scale = Annotated[float, bounds(0, above=True)]
Widths = Annotated[tuple[Whole, ...], Field(min_length=1)]


class ForeignAutoencoder(Strict):
    """AutoencoderKL or VQModel; the defaults are diffusers'.

    Attributes:
        num_vq_embeddings, vq_embed_dim: of VQModel alone; the latter is the number of channels of its latents.
        latents_mean, latents_std: of each channel.
        use_quant_conv, use_post_quant_conv: of AutoencoderKL alone.
        force_upcast, lookup_from_codebook: without effect on the network in float32.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    CLASS_NAMES: ClassVar[tuple[str, ...]] = ("AutoencoderKL", "VQModel")
    class_name: Literal["AutoencoderKL", "VQModel"] = Field(default="AutoencoderKL", alias="_class_name")
    in_channels: Whole = 3
    out_channels: Whole = 3
    down_block_types: tuple[Literal["DownEncoderBlock2D"], ...] = ("DownEncoderBlock2D",)
    up_block_types: tuple[Literal["UpDecoderBlock2D"], ...] = ("UpDecoderBlock2D",)
    block_out_channels: Widths = (64,)
    layers_per_block: Whole = 1
    act_fn: Literal["silu", "swish"] = "silu"
    latent_channels: Whole | None = None
    norm_num_groups: Whole = 32
    norm_type: Literal["group"] = "group"
    sample_size: Whole | tuple[Whole, Whole] = 32
    scaling_factor: Scale = 0.18215
    shift_factor: float | None = None
    latents_mean: tuple[float, ...] | None = None
    latents_std: tuple[Scale, ...] | None = None
    num_vq_embeddings: Whole = 256
    vq_embed_dim: Whole | None = None
    lookup_from_codebook: bool = False
    force_upcast: bool = True
    use_quant_conv: bool = True
    use_post_quant_conv: bool = True
    mid_block_add_attention: bool = True

    @classmethod
    def parse(cls, config: Mapping[str, Any], source: str) -> Self:
        """The settings in the contents of a config.json.

        Raises:
            InputError: one is unknown, or not supported.
        """
        found = parsed(cls, config, source)
        n, inner = len(found.block_out_channels), found.inner_channels
        vq = found.class_name == "VQModel"
        for name, known in {
            "out_channels": found.in_channels,
            "down_block_types": ("DownEncoderBlock2D",) * n,
            "up_block_types": ("UpDecoderBlock2D",) * n,
            "latents_mean": None if found.latents_std is None else found.latents_mean or (),
            "latents_std": None if found.latents_mean is None else found.latents_std or (),
            "shift_factor": found.shift_factor if found.latents_mean is None else None,
            **({} if vq else {"vq_embed_dim": None}),
            **({"use_quant_conv": True, "use_post_quant_conv": True} if vq else {}),
        }.items():
            _check(source, name, getattr(found, name), known)
        for name in ("latents_mean", "latents_std"):
            values = getattr(found, name)
            _check(source, f"the length of {name}", inner if values is None else len(values), inner)
        return found

    @classmethod
    def of(
        cls, net: AutoencoderSettings, size: tuple[int, int], mean: float, spread: float, maps: Collection[str]
    ) -> Self:
        """The settings of our network, whose latents have this mean and spread.

        Args:
            maps: which of ``use_quant_conv`` and ``use_post_quant_conv`` are true.
        """
        n, vq = len(net.multipliers), bool(net.codebook)
        inner = net.inner_channels or net.channels
        tree: dict[str, Any] = {
            "class_name": "VQModel" if vq else "AutoencoderKL",
            "in_channels": net.image_channels,
            "out_channels": net.image_channels,
            "down_block_types": ("DownEncoderBlock2D",) * n,
            "up_block_types": ("UpDecoderBlock2D",) * n,
            "block_out_channels": net.widths,
            "layers_per_block": net.blocks,
            "latent_channels": inner,
            "norm_num_groups": net.norm_groups,
            "sample_size": size[0] if size[0] == size[1] else size,
            "scaling_factor": reciprocal(spread),
            "mid_block_add_attention": net.attention,
        }
        if mean:
            tree["shift_factor"] = mean
        if vq:
            tree |= {"num_vq_embeddings": net.codebook, "vq_embed_dim": net.inner_channels and net.channels}
        else:
            tree |= {name: name in maps for name in ("use_quant_conv", "use_post_quant_conv")}
        return cls.model_validate(tree)

    @property
    def inner_channels(self) -> int:
        """The number of channels that the linear layers map to and from the latents."""
        return self.latent_channels or (3 if self.class_name == "VQModel" else 4)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the images."""
        return self.sample_size if isinstance(self.sample_size, tuple) else (self.sample_size, self.sample_size)

    @property
    def factor(self) -> int:
        """The side, in pixels, of one position of the latents."""
        return int(2 ** (len(self.block_out_channels) - 1))

    def network(self) -> dict[str, Any]:
        """The tree of our network's settings."""
        width = math.gcd(*self.block_out_channels)
        vq = self.class_name == "VQModel"
        channels = (self.vq_embed_dim if vq else None) or self.inner_channels
        return {
            "kind": "ldm",
            "image_channels": self.in_channels,
            "channels": channels,
            "width": width,
            "multipliers": [n // width for n in self.block_out_channels],
            "blocks": self.layers_per_block,
            "attention": self.mid_block_add_attention,
            "norm_groups": self.norm_num_groups,
            "codebook": self.num_vq_embeddings if vq else 0,
            "inner_channels": None if channels == self.inner_channels else self.inner_channels,
        }

    def normalisation(self, channels: int) -> tuple[list[float], list[float]]:
        """The mean and the spread of each channel of the latents, ``z = spread · x + mean``."""
        if self.latents_mean is not None and self.latents_std is not None:
            return list(self.latents_mean), [std / self.scaling_factor for std in self.latents_std]
        return [self.shift_factor or 0.0] * channels, [1 / self.scaling_factor] * channels

    def tree(self) -> dict[str, Any]:
        """The contents of config.json, without the settings of the other class."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class TinyForeignAutoencoder(Strict):
    """AutoencoderTiny; the defaults are diffusers'.

    Attributes:
        latent_magnitude, latent_shift: those of latents stored as bytes, without effect on the network.
        block_out_channels: a copy of ``decoder_block_out_channels``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    CLASS_NAMES: ClassVar[tuple[str, ...]] = ("AutoencoderTiny",)
    class_name: Literal["AutoencoderTiny"] = Field(default="AutoencoderTiny", alias="_class_name")
    in_channels: Whole = 3
    out_channels: Whole = 3
    encoder_block_out_channels: Widths = (64, 64, 64, 64)
    decoder_block_out_channels: tuple[Whole, ...] = (64, 64, 64, 64)
    block_out_channels: tuple[Whole, ...] | None = None
    act_fn: Literal["relu"] = "relu"
    upsample_fn: Literal["nearest"] = "nearest"
    latent_channels: Whole = 4
    upsampling_scaling_factor: Literal[2] = 2
    num_encoder_blocks: Annotated[tuple[int, ...], Field(min_length=1)] = (1, 3, 3, 3)
    num_decoder_blocks: tuple[int, ...] = (3, 3, 3, 1)
    latent_magnitude: float = 3
    latent_shift: float = 0.5
    force_upcast: bool = False
    scaling_factor: Scale = 1.0
    shift_factor: float = 0.0

    @classmethod
    def parse(cls, config: Mapping[str, Any], source: str) -> Self:
        """The settings in the contents of a config.json.

        Raises:
            InputError: one is unknown, or not supported.
        """
        found = parsed(cls, config, source)
        width = found.encoder_block_out_channels[:1]
        for name, known in {
            "out_channels": found.in_channels,
            "encoder_block_out_channels": width * len(found.num_encoder_blocks),
            "decoder_block_out_channels": width * len(found.num_decoder_blocks),
        }.items():
            _check(source, name, getattr(found, name), known)
        return found

    @classmethod
    def of(cls, net: TinyAutoencoderSettings, mean: float, spread: float) -> Self:
        """The settings of our network, whose latents have this mean and spread."""
        return cls(
            in_channels=net.image_channels,
            out_channels=net.image_channels,
            encoder_block_out_channels=(net.width,) * len(net.encoder_blocks),
            decoder_block_out_channels=(net.width,) * len(net.decoder_blocks),
            latent_channels=net.channels,
            num_encoder_blocks=net.encoder_blocks,
            num_decoder_blocks=net.decoder_blocks,
            scaling_factor=reciprocal(spread),
            shift_factor=mean,
        )

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the images, which the file does not state: that of Stable Diffusion."""
        return 512, 512

    @property
    def factor(self) -> int:
        """The side, in pixels, of one position of the latents."""
        return int(2 ** (len(self.num_encoder_blocks) - 1))

    def network(self) -> dict[str, Any]:
        """The tree of our network's settings."""
        return {
            "kind": "tiny",
            "image_channels": self.in_channels,
            "channels": self.latent_channels,
            "width": self.encoder_block_out_channels[0],
            "encoder_blocks": self.num_encoder_blocks,
            "decoder_blocks": self.num_decoder_blocks,
        }

    def normalisation(self, channels: int) -> tuple[list[float], list[float]]:
        """The mean and the spread of each channel of the latents, ``z = spread · x + mean``."""
        return [self.shift_factor] * channels, [1 / self.scaling_factor] * channels

    def tree(self) -> dict[str, Any]:
        """The contents of config.json."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def reciprocal(value: float) -> float:
    """The shortest decimal number whose reciprocal is a value: 0.18215 for 1 / 0.18215."""
    rounded = (float(f"{1 / value:.{digits}g}") for digits in range(1, 18))
    return next((one for one in rounded if 1 / one == value), 1 / value)


def _check(source: str, name: str, value: Any, known: Any) -> None:
    if value != known:
        raise InputError(
            "incompatible", f"{source}: {name} is {value}, but only {known} is supported; use another model"
        )

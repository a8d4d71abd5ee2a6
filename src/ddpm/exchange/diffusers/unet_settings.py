"""The settings of diffusers' U-Nets, as in their config.json, and those of our ``plain-unet``."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import ConfigDict, Field, ValidationError

from ddpm.config.plain_unet import PlainUNetSettings
from ddpm.exchange.diffusers.folder import parsed
from ddpm.system.errors import InputError
from ddpm.system.names import AttentionName
from ddpm.system.record import Strict, bounds, explain

Count = Annotated[int, bounds(1)]
Element = TypeVar("Element")
KINDS: dict[str, AttentionName] = {
    "DownBlock2D": "none",
    "UpBlock2D": "none",
    "ResnetDownsampleBlock2D": "none",
    "ResnetUpsampleBlock2D": "none",
    "AttnDownBlock2D": "self",
    "AttnUpBlock2D": "self",
    "CrossAttnDownBlock2D": "transformer",
    "CrossAttnUpBlock2D": "transformer",
}
"""The attention of a level, by its type."""


class _ForeignUNet(Strict):
    """The settings that both U-Nets have; the defaults are diffusers'.

    A setting with a single allowed value is one that ours always has.

    Attributes:
        sample_size: the side of x, or both.
        num_class_embeds: the number of class labels; None without labels.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    sample_size: Count | tuple[Count, Count] | None = None
    center_input_sample: Literal[False] = False
    time_embedding_type: Literal["positional"] = "positional"
    time_embedding_dim: Count | None = None
    freq_shift: Literal[0, 1] = 0
    flip_sin_to_cos: bool = True
    block_out_channels: tuple[Count, ...]
    downsample_padding: Literal[0, 1] = 1
    mid_block_scale_factor: Annotated[float, bounds(1, 1)] = 1
    dropout: float = 0.0
    act_fn: Literal["silu", "swish"] = "silu"
    norm_num_groups: Count = 32
    norm_eps: float = 1e-5
    resnet_time_scale_shift: Literal["default", "scale_shift"] = "default"
    class_embed_type: None = None
    num_class_embeds: Count | None = None

    @classmethod
    def parse(cls, config: Mapping[str, Any], source: str) -> Self:
        """The settings in the contents of a config.json.

        Raises:
            InputError: one is unknown, or not supported.
        """
        found = parsed(cls, config, source)
        width = found.time_embedding_dim
        if width not in (None, *(4 * first for first in found.block_out_channels[:1])):
            raise InputError(
                "incompatible",
                f"{source}: time_embedding_dim is {width}, but only 4 times the first of block_out_channels is "
                "supported; use another model",
            )
        return found

    def shape(self) -> dict[str, Any]:
        """Our settings that follow from those of both."""
        width = self.block_out_channels[0]
        return {
            "width": width,
            "multipliers": tuple(c / width for c in self.block_out_channels),
            "padding": self.downsample_padding,
            "norm_groups": self.norm_num_groups,
            "norm_eps": self.norm_eps,
            "dropout": self.dropout,
            "scale_shift": self.resnet_time_scale_shift == "scale_shift",
            "frequency_shift": self.freq_shift,
            "cond_width": None if self.num_class_embeds is None else 4 * width,
        }

    def tree(self) -> dict[str, Any]:
        """The contents of config.json."""
        return self.model_dump(mode="json", by_alias=True)


class ForeignUNet2D(_ForeignUNet):
    """UNet2DModel.

    Attributes:
        attention_head_dim: the channels of an attention head; None for a single head.
        downsample_type, upsample_type: of the levels with attention; the names of the others include it.
        num_train_timesteps: of an embedding of time that ours does not have.
    """

    CLASS_NAME: ClassVar[str] = "UNet2DModel"
    class_name: Literal["UNet2DModel"] = Field(default="UNet2DModel", alias="_class_name")
    in_channels: Count = 3
    out_channels: Count = 3
    down_block_types: tuple[Literal["DownBlock2D", "AttnDownBlock2D", "ResnetDownsampleBlock2D"], ...] = (
        *("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
    )
    mid_block_type: Literal["UNetMidBlock2D"] | None = "UNetMidBlock2D"
    up_block_types: tuple[Literal["UpBlock2D", "AttnUpBlock2D", "ResnetUpsampleBlock2D"], ...] = (
        *("AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
    )
    block_out_channels: tuple[Count, ...] = (224, 448, 672, 896)
    layers_per_block: Count = 2
    downsample_type: Literal["conv", "resnet"] = "conv"
    upsample_type: Literal["conv", "resnet"] = "conv"
    attention_head_dim: Count | None = 8
    attn_norm_num_groups: Count | None = None
    add_attention: bool = True
    num_train_timesteps: Count | None = None

    def settings(self, source: str) -> PlainUNetSettings:
        """The settings of our network.

        Raises:
            InputError: ours cannot express them.
        """
        _check_levels(self.block_out_channels, self.down_block_types, self.up_block_types, source)
        down, up = kinds(self.down_block_types), kinds(self.up_block_types[::-1])
        middle = self.add_attention and self.mid_block_type is not None
        scaled = self.resnet_time_scale_shift == "scale_shift"
        groups = self.attn_norm_num_groups or (None if scaled else self.norm_num_groups)
        if middle and groups != self.norm_num_groups:
            raise InputError(
                "incompatible",
                f"{source}: attn_norm_num_groups is {groups}, but only {self.norm_num_groups}, its norm_num_groups, is "
                "supported; use another model",
            )
        attending = [one != "none" or other != "none" for one, other in zip(down, up, strict=True)]
        attending[-1] |= middle
        heads = [
            c // (self.attention_head_dim or c) if attends else 1
            for c, attends in zip(self.block_out_channels, attending, strict=True)
        ]
        for c, n, attends in zip(self.block_out_channels, heads, attending, strict=True):
            if attends and n * (self.attention_head_dim or c) != c:
                raise InputError(
                    "incompatible",
                    f"{source}: attention_head_dim is {self.attention_head_dim}; it must divide {c}, the channels of a "
                    "level with attention",
                )
        return _settings(
            source,
            **self.shape(),
            in_channels=self.in_channels,
            out_channels=self.out_channels,
            blocks=(self.layers_per_block,),
            attention=short(down),
            attention_up=None if up == down else short(up),
            middle="self" if middle else "none",
            middle_blocks=0 if self.mid_block_type is None else 2,
            heads=short(heads),
            downsample=short(resampling(self.down_block_types, self.downsample_type)),
            upsample=short(resampling(self.up_block_types, self.upsample_type)[::-1]),
        )


class ForeignUNet2DCondition(_ForeignUNet):
    """UNet2DConditionModel.

    Attributes:
        attention_head_dim: the number of attention heads, despite its name.
        upcast_attention, addition_embed_type_num_heads: without effect on the network in float32.
    """

    CLASS_NAME: ClassVar[str] = "UNet2DConditionModel"
    class_name: Literal["UNet2DConditionModel"] = Field(default="UNet2DConditionModel", alias="_class_name")
    in_channels: Count = 4
    out_channels: Count = 4
    down_block_types: tuple[Literal["DownBlock2D", "CrossAttnDownBlock2D", "ResnetDownsampleBlock2D"], ...] = (
        *("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    )
    mid_block_type: Literal["UNetMidBlock2DCrossAttn", "UNetMidBlock2D"] | None = "UNetMidBlock2DCrossAttn"
    up_block_types: tuple[Literal["UpBlock2D", "CrossAttnUpBlock2D", "ResnetUpsampleBlock2D"], ...] = (
        *("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    )
    block_out_channels: tuple[Count, ...] = (320, 640, 1280, 1280)
    layers_per_block: Count | tuple[Count, ...] = 2
    cross_attention_dim: Count | tuple[Count, ...] = 1280
    transformer_layers_per_block: Count | tuple[Count, ...] = 1
    attention_head_dim: Count | tuple[Count, ...] = 8
    use_linear_projection: bool = False
    upcast_attention: bool | None = False
    addition_embed_type_num_heads: Count = 64
    num_attention_heads: None = None
    only_cross_attention: Literal[False] | tuple[Literal[False], ...] = False
    mid_block_only_cross_attention: Literal[False] | None = None
    dual_cross_attention: Literal[False] = False
    reverse_transformer_layers_per_block: None = None
    encoder_hid_dim: None = None
    encoder_hid_dim_type: None = None
    addition_embed_type: None = None
    addition_time_embed_dim: None = None
    projection_class_embeddings_input_dim: None = None
    class_embeddings_concat: Literal[False] = False
    resnet_skip_time_act: Literal[False] = False
    resnet_out_scale_factor: Annotated[float, bounds(1, 1)] = 1.0
    time_embedding_act_fn: None = None
    timestep_post_act: None = None
    time_cond_proj_dim: None = None
    conv_in_kernel: Literal[3] = 3
    conv_out_kernel: Literal[3] = 3
    attention_type: Literal["default"] = "default"
    cross_attention_norm: None = None

    def settings(self, source: str) -> PlainUNetSettings:
        """The settings of our network.

        Raises:
            InputError: ours cannot express them.
        """
        _check_levels(self.block_out_channels, self.down_block_types, self.up_block_types, source)
        down, up = kinds(self.down_block_types), kinds(self.up_block_types[::-1])
        widths = set(_tuple(self.cross_attention_dim))
        if len(widths) > 1:
            raise InputError(
                "incompatible", f"{source}: cross_attention_dim has several values; use a model with a single one"
            )
        middle = self.mid_block_type == "UNetMidBlock2DCrossAttn"
        return _settings(
            source,
            **self.shape(),
            in_channels=self.in_channels,
            out_channels=self.out_channels,
            blocks=short(_tuple(self.layers_per_block)),
            attention=short(down),
            attention_up=None if up == down else short(up),
            middle="transformer" if middle else "none",
            middle_blocks=2 if middle else 0 if self.mid_block_type is None else 1,
            heads=short(_tuple(self.attention_head_dim)),
            depth=short(_tuple(self.transformer_layers_per_block)),
            downsample=short(resampling(self.down_block_types, "conv")),
            upsample=short(resampling(self.up_block_types, "conv")[::-1]),
            token_width=widths.pop(),
        )


def kinds(types: Sequence[str]) -> tuple[AttentionName, ...]:
    """The attention of each level."""
    return tuple(KINDS[one] for one in types)


def resampling(types: Sequence[str], attending: str) -> list[Any]:
    """How each level leads to the next; the last has no next level, and repeats the one before.

    Args:
        attending: how levels with attention do, "conv" or "resnet".
    """
    found = [
        "residual" if one.startswith("Resnet") or (KINDS[one] == "self" and attending == "resnet") else "conv"
        for one in types[:-1]
    ]
    return [*found, *(found or ["conv"])[-1:]]


def short(values: Sequence[Element]) -> tuple[Element, ...]:
    """Values of all levels, or a single one if they are equal."""
    return tuple(values[:1] if len(set(values)) == 1 else values)


def _tuple(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,)


def _check_levels(channels: Sequence[int], down: Sequence[str], up: Sequence[str], source: str) -> None:
    if not channels or len({len(channels), len(down), len(up)}) > 1:
        raise InputError(
            "incompatible",
            f"{source}: block_out_channels, down_block_types and up_block_types have {len(channels)}, {len(down)} and "
            f"{len(up)} values; they must have one for each level",
        )


def _settings(source: str, **tree: Any) -> PlainUNetSettings:
    try:
        return PlainUNetSettings(**tree)
    except ValidationError as e:
        raise InputError("incompatible", f"{source}: {explain(e, PlainUNetSettings)}; use another model") from e

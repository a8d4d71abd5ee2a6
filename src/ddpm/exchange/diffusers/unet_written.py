"""The settings of diffusers' U-Nets that express those of our ``plain-unet``."""

from typing import Any

from ddpm.config.plain_unet import PlainUNetSettings, at_level
from ddpm.exchange.diffusers.unet_settings import ForeignUNet2D, ForeignUNet2DCondition, short
from ddpm.system.errors import InputError

TYPES = {
    ("none", "conv"): ("DownBlock2D", "UpBlock2D"),
    ("none", "residual"): ("ResnetDownsampleBlock2D", "ResnetUpsampleBlock2D"),
    ("self", "conv"): ("AttnDownBlock2D", "AttnUpBlock2D"),
    ("self", "residual"): ("AttnDownBlock2D", "AttnUpBlock2D"),
    ("transformer", "conv"): ("CrossAttnDownBlock2D", "CrossAttnUpBlock2D"),
}
"""The types of a level by its attention and by how it leads to the next."""


def foreign(s: PlainUNetSettings, size: tuple[int, int], classes: int | None) -> ForeignUNet2D | ForeignUNet2DCondition:
    """Their network with the settings of ours.

    Args:
        size: (H, W) of x.
        classes: the number of class labels, with the null label; None without labels.

    Raises:
        InputError: theirs cannot express them.
    """
    name = "UNet2DConditionModel" if s.attends else "UNet2DModel"
    _refuse(name, "space", s.space, 2)
    _refuse(name, "multipliers", s.multipliers[0], 1, "the first is")
    shape: dict[str, Any] = {
        "sample_size": size[0] if size[0] == size[1] else size,
        "in_channels": s.in_channels,
        "out_channels": s.out_channels,
        "freq_shift": s.frequency_shift,
        # as published: all with a shift of 0 have the cosines first
        "flip_sin_to_cos": not s.frequency_shift,
        "block_out_channels": s.channels,
        "downsample_padding": s.padding,
        "dropout": s.dropout,
        "norm_num_groups": s.norm_groups,
        "norm_eps": s.norm_eps,
        "resnet_time_scale_shift": "scale_shift" if s.scale_shift else "default",
        "num_class_embeds": classes,
        "down_block_types": _types(s, name, "down"),
        "up_block_types": _types(s, name, "up"),
    }
    return _condition(s, name, shape) if s.attends else _unconditional(s, name, shape)


def _unconditional(s: PlainUNetSettings, name: str, shape: dict[str, Any]) -> ForeignUNet2D:
    levels = range(len(s.channels))
    _refuse(name, "blocks", len(set(s.blocks)), 1, "the number of different values is")
    if s.middle_blocks == 1:
        _refuse(name, "middle_blocks", s.middle_blocks, 2)
    up, middle = s.attention_up or s.attention, s.middle == "self" and s.middle_blocks == 2
    attending = [i for i in levels if {at_level(s.attention, i), at_level(up, i)} != {"none"}]
    attending += [levels[-1]] * middle
    heads = {at_level(s.heads, i) for i in attending}
    widths = {s.channels[i] // at_level(s.heads, i) for i in attending}
    if heads != {1}:
        _refuse(name, "heads", len(widths), min(len(widths), 1), "the number of different widths of a head is")
    kinds = {
        way: {at_level(values, i) for i in levels if at_level(attention, i) == "self" and i != last}
        for way, values, attention, last in (
            ("downsample", s.downsample, s.attention, levels[-1]),
            ("upsample", s.upsample, up, 0),
        )
    }
    for way, found in kinds.items():
        _refuse(name, way, len(found), min(len(found), 1), "the number of different values at attention is")
    return ForeignUNet2D(
        **shape,
        mid_block_type="UNetMidBlock2D" if s.middle_blocks else None,
        add_attention=middle or not s.middle_blocks,
        layers_per_block=s.blocks[0],
        attention_head_dim=None if heads == {1} or not widths else widths.pop(),
        attn_norm_num_groups=s.norm_groups if s.scale_shift and middle else None,
        downsample_type="resnet" if kinds["downsample"] == {"residual"} else "conv",
        upsample_type="resnet" if kinds["upsample"] == {"residual"} else "conv",
    )


def _condition(s: PlainUNetSettings, name: str, shape: dict[str, Any]) -> ForeignUNet2DCondition:
    if s.token_width is None:
        raise InputError(
            "incompatible",
            f"the transformers of {name} attend to tokens, but the network has no token_width; train it with captions, "
            "or with network.attention none and self",
        )
    if s.middle_blocks == 2:
        _refuse(name, "middle", s.middle, "transformer")
    middle: Any = {0: None, 1: "UNetMidBlock2D", 2: "UNetMidBlock2DCrossAttn"}
    return ForeignUNet2DCondition(
        **shape,
        mid_block_type=middle[s.middle_blocks],
        layers_per_block=_one(s.blocks),
        cross_attention_dim=s.token_width,
        transformer_layers_per_block=_one(s.depth),
        attention_head_dim=_one(s.heads),
    )


def _types(s: PlainUNetSettings, name: str, way: str) -> tuple[str, ...]:
    """The types of the levels, in the order of the computation."""
    n = len(s.channels)
    attention, resample = (s.attention, s.downsample) if way == "down" else (s.attention_up or s.attention, s.upsample)
    found = []
    for i in range(n):
        kind, step = at_level(attention, i), at_level(resample, i)
        if i == (n - 1 if way == "down" else 0):
            step = "conv"  # there is none
        if (kind, step) not in TYPES or (kind == "self" and s.attends):
            raise InputError(
                "incompatible",
                f"{name} has no level with attention {kind} and {way}sample {step} next to the others of this network; "
                f"train one with network.{way}sample conv, and one kind of attention",
            )
        found.append(TYPES[kind, step][way == "up"])
    return tuple(found if way == "down" else found[::-1])


def _one(values: tuple[int, ...]) -> int | tuple[int, ...]:
    values = short(values)
    return values[0] if len(values) == 1 else values


def _refuse(name: str, setting: str, value: object, known: object, what: str = "it is") -> None:
    if value != known:
        raise InputError(
            "incompatible",
            f"{name} cannot express network.{setting}: {what} {value}, and must be {known}; train one with it",
        )

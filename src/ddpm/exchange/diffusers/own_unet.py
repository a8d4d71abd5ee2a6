"""Our ``unet`` as a ``plain-unet``, where both are the same function."""

import re

from ddpm.config.network import UNetSettings
from ddpm.config.plain_unet import PlainUNetSettings, at_level
from ddpm.exchange.diffusers.unet_settings import short
from ddpm.networks import UNet
from ddpm.networks.blocks import GroupNorm
from ddpm.system.errors import InputError
from ddpm.system.meta import shapes_only

NAMES = {
    r"\.blocks\.(\d+)\.attention\.": r".layers.\1.attention.",
    r"^middle\.(\d+)\.(?!attention)": r"middle.\1.block.",
    r"\.blocks\.(\d+)\.": r".layers.\1.block.",
    r"\.(down|up)sample\.": ".resample.conv.",
}
"""Patterns in names of a ``unet``, and what they are in a ``plain-unet``, applied in this order."""
FIXED = {"patch": 1, "stem": 0, "norm": "group", "upsample": "conv", "skips": "all", "token_width": None, "space": 2}
"""The settings that a ``plain-unet`` expresses in no other value."""
EPS = 1e-6


def plain_name(name: str) -> str:
    """The name of a weight of a ``unet`` in a ``plain-unet``."""
    for pattern, replacement in NAMES.items():
        name = re.sub(pattern, replacement, name)
    return name


def plain_settings(s: UNetSettings) -> PlainUNetSettings:
    """The settings of a ``plain-unet`` that is the same function.

    Raises:
        InputError: there is none.
    """
    if others := {name: known for name, known in FIXED.items() if getattr(s, name) != known}:
        found = " and ".join(f"network.{name} {getattr(s, name)}" for name in others)
        settings = " ".join(f"--set network.{name}={'null' if n is None else n}" for name, n in others.items())
        raise InputError(
            "incompatible",
            f"diffusers' UNet2DModel cannot express {found}; train a run with --network plain-unet, or with {settings}",
        )
    groups = _groups(s)
    if len(groups) > 1:
        raise InputError(
            "incompatible",
            f"diffusers' UNet2DModel has one number of groups for all normalisations, but this network {min(groups)} "
            f"to {max(groups)}; train a run with a --width that is a multiple of 64",
        )
    attending = [factor in s.attention for factor in s.factors]
    heads = [c // (s.head_width or c) if one else 1 for c, one in zip(s.channels, attending, strict=True)]
    heads[-1] = s.channels[-1] // (s.head_width or s.channels[-1])  # of the middle, too
    return PlainUNetSettings(
        in_channels=s.in_channels,
        out_channels=s.out_channels,
        width=s.width,
        multipliers=s.multipliers,
        blocks=(s.blocks,),
        attention=short(["self" if one else "none" for one in attending]),
        middle="self",
        heads=short(heads),
        padding=0,
        norm_groups=groups.pop(),
        norm_eps=EPS,
        dropout=s.dropout,
        scale_shift=s.scale_shift,
        frequency_shift=1,
        cond_width=None if s.cond_width is None else 4 * s.width,
        checkpoint=s.checkpoint,
    )


def own_settings(plain: PlainUNetSettings) -> UNetSettings | None:
    """The settings of a ``unet`` that is the same function; None if there is none."""
    n = range(len(plain.multipliers))
    attention = tuple(2**i for i in n if at_level(plain.attention, i) == "self")
    attending = [i for i in n if 2**i in attention or i == n[-1]]
    widths = {plain.channels[i] // at_level(plain.heads, i) for i in attending}
    single = {at_level(plain.heads, i) for i in attending} == {1}
    try:
        found = UNetSettings(
            in_channels=plain.in_channels,
            out_channels=plain.out_channels,
            width=plain.width,
            multipliers=tuple(round(m) for m in plain.multipliers),
            blocks=plain.blocks[0],
            attention=attention,
            head_width=None if single else min(widths),
            dropout=plain.dropout,
            scale_shift=plain.scale_shift,
            checkpoint=plain.checkpoint,
        )
        same = plain_settings(found)
    except ValueError:
        return None
    return found if _spread(same) == _spread(plain) else None


def _spread(s: PlainUNetSettings) -> PlainUNetSettings:
    """The same settings with one value per level, and none where it has no effect."""
    n, last = range(len(s.multipliers)), len(s.multipliers) - 1
    up = s.attention_up or s.attention
    middle = s.middle if s.middle_blocks == 2 else "none"
    attends = [{at_level(s.attention, i), at_level(up, i)} != {"none"} or (i == last and middle != "none") for i in n]
    return s.model_copy(
        update={
            "multipliers": tuple(map(float, s.multipliers)),
            "blocks": tuple(at_level(s.blocks, i) for i in n),
            "attention": tuple(at_level(s.attention, i) for i in n),
            "attention_up": tuple(at_level(up, i) for i in n),
            "middle": middle,
            "heads": tuple(at_level(s.heads, i) if attends[i] else 1 for i in n),
            "depth": (1,) if not s.attends else s.depth,
            "downsample": tuple(at_level(s.downsample, i) for i in n[:-1]),
            "upsample": tuple(at_level(s.upsample, i) for i in n[1:]),
        }
    )


def _groups(s: UNetSettings) -> set[int]:
    """The different numbers of groups of its normalisations."""
    with shapes_only():
        return {module.groups for module in UNet(s).modules() if isinstance(module, GroupNorm)}

"""The U-Net of OpenAI's improved-diffusion and guided-diffusion and our ``plain-unet``."""

from collections.abc import Collection, Iterator, Mapping
from functools import partial
from itertools import pairwise
from typing import Any

import torch

from ddpm.config.plain_unet import PlainUNetSettings, at_level
from ddpm.exchange.correspondence import Correspondence, Parts, cosines_first
from ddpm.exchange.fitted import inferring
from ddpm.exchange.imported import LABEL_TABLE, MODES
from ddpm.exchange.tensors import ForeignTensors
from ddpm.system.errors import InputError
from ddpm.system.names import DownsamplingName, UpsamplingName

FIRST, TIME, LABELS = "input_blocks.0.0.weight", "time_embed.0.weight", "label_emb.weight"
"""The first convolution, the first layer of the time embedding, and the embedding of the classes."""
ENCODER = {TIME, FIRST, "middle_block.1.qkv.weight"}
"""Tensors that every such U-Net has, in its first half and middle."""
GROUPS = 32
"""The groups of every normalisation."""
BLOCK = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "shortcut": "skip_connection",
}
"""The parts of a residual block, ours and theirs."""


def read_settings(tensors: ForeignTensors, given: Mapping[str, Any]) -> PlainUNetSettings:
    """The network that has these tensors, with what only flags say: heads and dropout.

    Raises:
        InputError: there is none, or the heads do not divide the channels.
    """
    if given["num_heads_upsample"] not in (-1, given["num_heads"]):
        raise InputError(
            "incompatible", f"{tensors.source}: --num_heads_upsample must be that of --num_heads here; leave it out"
        )
    with inferring(tensors.source, PlainUNetSettings):
        levels = _levels(tensors, given.get("num_res_blocks", 2))
        up = _up(tensors, levels[-1][-1]) if len(levels) > 1 else "conv"
        settings = half_settings(
            tensors, len(levels), len(levels[0]) - 1, tensors.shape("out.2.weight")[0], given["num_head_channels"]
        )
        changes = {"upsample": (up,), "dropout": given["dropout"], "checkpoint": given["use_checkpoint"]}
        if given["num_head_channels"] == -1:
            changes["heads"] = (given["num_heads"],)
        if LABELS in tensors or enlarges(settings.in_channels):
            changes["cond_width"] = settings.time_width
        return PlainUNetSettings.model_validate(settings.model_dump() | changes)


def half_settings(
    tensors: ForeignTensors, levels: int, blocks: int, out_channels: int, head_width: int
) -> PlainUNetSettings:
    """The settings of a network that its downsampling half alone determines.

    Args:
        blocks: the residual blocks per level.
        head_width: the channels of each attention head; a single head if not positive.
    """
    width, first = tensors.shape(TIME)[1], [(blocks + 1) * i + 1 for i in range(levels)]
    channels = [tensors.shape(f"input_blocks.{i}.0.out_layers.3.weight")[0] for i in first]
    return PlainUNetSettings(
        in_channels=tensors.shape(FIRST)[1],
        out_channels=out_channels,
        width=width,
        multipliers=tuple(c / width for c in channels),
        blocks=(blocks,),
        attention=tuple("self" if f"input_blocks.{i}.1.qkv.weight" in tensors else "none" for i in first),
        middle="self",
        heads=tuple(max(1, c // head_width) if head_width > 0 else 1 for c in channels),
        downsample=(_down(tensors, blocks + 1) if levels > 1 else "conv",),
        padding=1,
        norm_groups=GROUPS,
        norm_eps=1e-5,
        scale_shift=tensors.shape("middle_block.0.emb_layers.1.weight")[0] == 2 * channels[-1],
        frequency_shift=0,
    )


def enlarges(channels: int) -> bool:
    """Whether a network of this number of input channels also sees an enlarged small image, of half of them."""
    return channels not in MODES and channels // 2 in MODES and channels % 2 == 0


def _levels(tensors: ForeignTensors, blocks: int) -> list[list[int]]:
    """The numbers of the output blocks of each level, finest first.

    Args:
        blocks: the residual blocks per level, if no tensor shows where a level ends.
    """
    numbers = sorted({int(name.split(".")[1]) for name in tensors.names() if name.startswith("output_blocks.")})
    steps = [i for i in numbers if _up(tensors, i) != "nearest"]
    ends = steps or numbers[blocks : -1 : blocks + 1]
    levels = [[i for i in numbers if a < i <= b] for a, b in pairwise([-1, *ends, numbers[-1]])]
    if len(set(map(len, levels))) > 1 or len(levels[0]) < 2:
        raise InputError(
            "incompatible",
            f"{tensors.source} has levels of {', '.join(str(len(level)) for level in levels)} output blocks, which "
            "must be equally many; check --num_res_blocks",
        )
    return levels[::-1]


def _up(tensors: ForeignTensors, block: int) -> UpsamplingName:
    """How an output block ends."""
    for module in (1, 2):
        if f"output_blocks.{block}.{module}.in_layers.0.weight" in tensors:
            return "residual"
        if f"output_blocks.{block}.{module}.conv.weight" in tensors:
            return "conv"
    return "nearest"


def _down(tensors: ForeignTensors, block: int) -> DownsamplingName:
    """How the input block between two levels changes the resolution."""
    if f"input_blocks.{block}.0.in_layers.0.weight" in tensors:
        return "residual"
    return "conv" if f"input_blocks.{block}.0.op.weight" in tensors else "average"


def table(s: PlainUNetSettings, ours: Collection[str], *, new_order: bool) -> list[Correspondence]:
    """The correspondence of all weights.

    Args:
        ours: the names of ours.
        new_order: whether queries, keys and values come before heads in theirs, as in ours, or within them.
    """
    modules = dict(_modules(s))
    pairs = []
    for name in ours:
        module, _, part = name.rpartition(".")
        theirs = modules.get(module, "") + f".{part}"
        if name == LABEL_TABLE:
            pairs.append(Correspondence(name, (LABELS,), _with_null, lambda tensor: [tensor[:-1]]))
        elif name == "net.time.linear1.weight":
            pairs.append(cosines_first(name, theirs, s.width))
        elif module.endswith("attention.qkv"):
            n = 1 if new_order else at_level(s.heads, _level(s, module))
            pairs.append(Correspondence(name, (theirs,), partial(_joined, n), partial(_split, n)))
        elif module.endswith("attention.out") and part == "weight":
            # a convolution of kernel 1
            pairs.append(Correspondence(name, (theirs,), lambda p: p[0].squeeze(2), lambda w: [w[..., None]]))
        else:
            pairs.append(Correspondence(name, (theirs,)))
    return pairs


def _level(s: PlainUNetSettings, module: str) -> int:
    """The level of one of our modules."""
    _, half, number, *_ = module.split(".")
    last = len(s.multipliers) - 1
    return {"down": int(number), "up": last - int(number), "middle": last}[half]


def _with_null(parts: Parts) -> torch.Tensor:
    """The embedding of the classes, and a zero vector for the null class, which their network does not have."""
    return torch.cat([parts[0], torch.zeros_like(parts[0][:1])])


def _joined(heads: int, parts: Parts) -> torch.Tensor:
    """Queries, keys and values of each head (heads · 3 · D, …, 1) -> (3 · heads · D, …)."""
    tensor = parts[0].squeeze(2) if parts[0].ndim == 3 else parts[0]
    return tensor.reshape(heads, 3, -1, *tensor.shape[1:]).transpose(0, 1).flatten(0, 2)


def _split(heads: int, tensor: torch.Tensor) -> Parts:
    """The inverse of :func:`_joined`."""
    split = tensor.reshape(3, heads, -1, *tensor.shape[1:]).transpose(0, 1).flatten(0, 2)
    return [split[..., None] if split.ndim == 2 else split]


def _modules(s: PlainUNetSettings) -> Iterator[tuple[str, str]]:
    """The names of our modules and theirs."""
    last, blocks = len(s.multipliers) - 1, s.blocks[0]
    yield from (("net.time.linear1", "time_embed.0"), ("net.time.linear2", "time_embed.2"))
    yield from (("net.conv_in", "input_blocks.0.0"), ("net.norm_out", "out.0"), ("net.conv_out", "out.2"))
    for i, kind in enumerate(at_level(s.attention, i) for i in range(last + 1)):
        first, up = (blocks + 1) * i + 1, last - i
        for j in range(blocks):
            yield from _layer(f"net.down.{i}.layers.{j}", f"input_blocks.{first + j}.{{}}")
        yield from _step(f"net.down.{i}.resample", f"input_blocks.{first + blocks}.0", "op")
        for j in range(blocks + 1):
            yield from _layer(f"net.up.{up}.layers.{j}", f"output_blocks.{(blocks + 1) * up + j}.{{}}")
        after = 1 if kind == "none" else 2
        yield from _step(f"net.up.{up}.resample", f"output_blocks.{(blocks + 1) * up + blocks}.{after}", "conv")
    yield from _layer("net.middle.0", "middle_block.{}")
    yield from _block("net.middle.1.block", "middle_block.2")


def _layer(ours: str, theirs: str) -> Iterator[tuple[str, str]]:
    yield from _block(f"{ours}.block", theirs.format(0))
    for part, name in (("norm", "norm"), ("qkv", "qkv"), ("out", "proj_out")):
        yield f"{ours}.attention.{part}", f"{theirs.format(1)}.{name}"


def _step(ours: str, theirs: str, conv: str) -> Iterator[tuple[str, str]]:
    yield from _block(f"{ours}.block", theirs)
    yield f"{ours}.conv.conv", f"{theirs}.{conv}"


def _block(ours: str, theirs: str) -> Iterator[tuple[str, str]]:
    for part, name in BLOCK.items():
        yield f"{ours}.{part}", f"{theirs}.{name}"

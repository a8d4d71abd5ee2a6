"""The network of CompVis' latent diffusion, and our ``plain-unet``."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from ddpm.config.plain_unet import PlainUNetSettings, at_level
from ddpm.exchange.correspondence import Correspondence, read
from ddpm.exchange.diffusers.unet_settings import short
from ddpm.exchange.diffusers.unet_weights import table as diffusers_table
from ddpm.exchange.fitted import inferring
from ddpm.exchange.tensors import ForeignTensors
from ddpm.networks import PlainUNet
from ddpm.system.errors import InputError
from ddpm.system.meta import shapes_only

GROUPS, EPS = 32, 1e-5
"""The groups of every normalisation, and what it adds to the variance."""
HEAD_WIDTH = 64
"""The width of the attention heads of Stable Diffusion 2."""
ENDS = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
BLOCK = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
"""Modules of diffusers, and the same in CompVis' code."""
PLACE = re.compile(r"(down|up|mid)_blocks?\.(?:(\d+)\.)?(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)")


def read_unet(
    tensors: ForeignTensors, heads: int | None, inferred: list[str]
) -> tuple[PlainUNetSettings, dict[str, torch.Tensor]]:
    """The network of a model, and its weights by their names in ours, "net.…".

    Args:
        tensors: its own.
        heads: the number of attention heads; None for that of Stable Diffusion.
        inferred: receives a line about what no file states.

    Raises:
        InputError: a tensor is missing, or it is another network.
    """
    with inferring(tensors.source, PlainUNetSettings):
        tree, linear = _settings(tensors, heads, inferred)
        settings = PlainUNetSettings.model_validate(tree)
    with shapes_only():
        like = dict(PlainUNet(settings).state_dict())
    weights = read(table(settings, like, linear=linear), tensors, like)
    return settings, {f"net.{name}": tensor for name, tensor in weights.items()}


def _settings(tensors: ForeignTensors, heads: int | None, inferred: list[str]) -> tuple[dict[str, Any], bool]:
    """The tree of our network's settings, from the shapes of theirs; and whether its projections are linear layers."""
    names = tensors.names()
    blocks = sorted({int(name.split(".")[1]) for name in names if name.startswith("input_blocks.")})
    width, in_channels = tensors.shape("input_blocks.0.0.weight")[:2]
    channels: list[int] = []
    counts, attention, depth = [0], [False], [1]
    for i in blocks[1:]:
        if f"input_blocks.{i}.0.op.weight" in tensors:
            counts, attention, depth = [*counts, 0], [*attention, False], [*depth, 1]
            continue
        out = tensors.shape(f"input_blocks.{i}.0.in_layers.2.weight")[0]
        channels[len(counts) - 1 :] = [out]
        counts[-1] += 1
        if f"input_blocks.{i}.1.norm.weight" in tensors:
            attention[-1] = True
            depth[-1] = _layers(names, f"input_blocks.{i}.1.")
    if len(channels) != len(counts) or len({*counts}) != 1:
        raise InputError("incompatible", f"{tensors.source} has levels of {counts} blocks; they must have equally many")
    middle = "middle_block.1.transformer_blocks.0.attn2.to_k.weight"
    tokens = tensors.shape(middle)[1]
    linear = len(tensors.shape("middle_block.1.proj_in.weight")) == 2
    depth[-1] = _layers(names, "middle_block.1.")
    if heads is None and not linear:
        heads = 8
        inferred.append(f'{heads} attention heads, as in Stable Diffusion 1; --flags "--num_heads N" for others')
    elif heads is None:
        inferred.append(f"attention heads of {HEAD_WIDTH} channels, as in Stable Diffusion 2")
    return {
        "kind": "plain-unet",
        "in_channels": in_channels,
        "out_channels": tensors.shape("out.2.weight")[0],
        "width": width,
        "multipliers": [c / width for c in channels],
        "blocks": counts[:1],
        "attention": ["transformer" if one else "none" for one in attention],
        "heads": short([max(1, c // HEAD_WIDTH) if heads is None else heads for c in channels]),
        "depth": short(depth),
        "padding": 1,
        "norm_groups": GROUPS,
        "norm_eps": EPS,
        "token_width": tokens,
    }, linear


def table(s: PlainUNetSettings, weights: Mapping[str, torch.Tensor], *, linear: bool) -> list[Correspondence]:
    """The correspondence of all weights; that of diffusers with other names.

    Args:
        weights: those of the network, or tensors with their names and shapes.
        linear: whether the projections of the transformers are linear layers.
    """
    pairs = diffusers_table(dict(weights), flipped=True, linear=linear)
    return [replace(pair, theirs=tuple(_name(s, name) for name in pair.theirs)) for pair in pairs]


def _name(s: PlainUNetSettings, name: str) -> str:
    """The name of a tensor of diffusers in CompVis' code."""
    found = PLACE.fullmatch(name)
    if found is None:
        module, kind = name.rsplit(".", 1)
        return f"{ENDS[module]}.{kind}"
    half, level, part, index, rest = found.groups()
    i, n = int(index), s.blocks[0] + 1
    if part == "downsamplers":
        return f"input_blocks.{(int(level) + 1) * n}.0.op.{rest.removeprefix('conv.')}"
    if part == "upsamplers":
        attends = at_level(s.attention, len(s.channels) - 1 - int(level)) != "none"
        return f"output_blocks.{int(level) * n + n - 1}.{2 if attends else 1}.{rest}"
    if part == "resnets":
        module, kind = rest.rsplit(".", 1)
        rest = f"{BLOCK[module]}.{kind}"
    if half == "mid":
        return f"middle_block.{1 if part == 'attentions' else 2 * i}.{rest}"
    where = f"input_blocks.{1 + int(level) * n + i}" if half == "down" else f"output_blocks.{int(level) * n + i}"
    return f"{where}.{1 if part == 'attentions' else 0}.{rest}"


def _layers(names: list[str], prefix: str) -> int:
    """The number of layers of a transformer."""
    start = f"{prefix}transformer_blocks."
    return 1 + max((int(name[len(start) :].split(".")[0]) for name in names if name.startswith(start)), default=0)

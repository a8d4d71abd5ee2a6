"""diffusers' DiTTransformer2DModel and our ``plain-dit``."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from pydantic import ValidationError

from ddpm.config.dit import PlainDiTSettings
from ddpm.exchange.correspondence import (
    Correspondence,
    Parts,
    channels_last,
    cosines_first,
    layer,
    read,
    reshaped,
    stacked,
    write,
)
from ddpm.exchange.imported import LABEL_TABLE
from ddpm.exchange.tensors import ForeignTensors
from ddpm.networks import PlainDiT
from ddpm.networks.dit import FREQUENCIES
from ddpm.records.run_folder import Weights
from ddpm.system.errors import InputError
from ddpm.system.meta import shapes_only
from ddpm.system.record import explain

CLASS_NAMES = ("DiTTransformer2DModel", "Transformer2DModel")
"""The names of the network in its config.json: now, and when it was published."""
FIXED = {
    "norm_type": "ada_norm_zero",
    "activation_fn": "gelu-approximate",
    "attention_bias": True,
    "norm_elementwise_affine": False,
    "upcast_attention": False,
}
"""The settings of theirs that ours always has."""
UNUSED = {"norm_num_groups": 32, "attention_type": "default"}
"""Settings of other networks of the class Transformer2DModel: these values, null, false or absent."""
NUMBERS = {
    "num_attention_heads": 16,
    "attention_head_dim": 72,
    "in_channels": 4,
    "out_channels": None,
    "num_layers": 28,
    "sample_size": 32,
    "patch_size": 2,
    "num_embeds_ada_norm": 1000,
    "dropout": 0.0,
    "norm_eps": 1e-5,
}
"""The others and their defaults, which a config.json may leave out."""


@dataclass(frozen=True)
class ForeignDiT:
    """Their network in our terms.

    Attributes:
        settings: of our network.
        classes: the number of class labels; the null label comes after them.
        side: the side of x, in its positions.
    """

    settings: PlainDiTSettings
    classes: int
    side: int


def read_settings(config: Mapping[str, Any], source: str) -> ForeignDiT:
    """The network of a config.json.

    Args:
        source: the name of the file in errors.

    Raises:
        InputError: a setting is one that ``plain-dit`` does not have.
    """
    for name, value in FIXED.items():
        if config.get(name, value) != value:
            raise InputError(
                "incompatible",
                f"{source}: {name} is {config[name]!r}, but that of a plain-dit is {value!r}; use another",
            )
    for name in sorted(config.keys() - FIXED.keys() - NUMBERS.keys()):
        if not name.startswith("_") and config[name] not in (None, False, UNUSED.get(name)):
            raise InputError(
                "incompatible",
                f"{source}: {name} is {config[name]!r}, but a plain-dit has no such setting; use another",
            )
    known = NUMBERS | {name: config[name] for name in NUMBERS if config.get(name) is not None}
    if known["dropout"]:
        raise InputError(
            "incompatible", f"{source}: dropout is {known['dropout']}, but a plain-dit has none; set it to 0"
        )
    try:
        heads, channels = int(known["num_attention_heads"]), int(known["in_channels"])
        width = heads * int(known["attention_head_dim"])
        classes, side = int(known["num_embeds_ada_norm"]), int(known["sample_size"])
        settings = PlainDiTSettings(
            in_channels=channels,
            out_channels=int(known["out_channels"] or channels),
            depth=int(known["num_layers"]),
            width=width,
            heads=heads,
            patch=int(known["patch_size"]),
            norm_eps=float(known["norm_eps"]),
            cond_width=width,
        )
    except ValidationError as e:
        raise InputError("incompatible", f"{source}: {explain(e, PlainDiTSettings)}; use another model") from e
    except (TypeError, ValueError) as e:
        raise InputError("incompatible", f"{source} has a setting that is not a number ({e}); use another model") from e
    return ForeignDiT(settings, classes, side)


def write_settings(found: ForeignDiT) -> dict[str, Any]:
    """The inverse of :func:`read_settings`.

    Raises:
        InputError: their network has no such setting.
    """
    s = found.settings
    if s.frequency_shift != 1:
        raise InputError(
            "incompatible",
            f"diffusers' DiTTransformer2DModel has no frequency_shift {s.frequency_shift}, as in the model's original "
            "code; export it with --to safetensors",
        )
    return {
        "_class_name": CLASS_NAMES[0],
        **FIXED,
        "num_attention_heads": s.heads,
        "attention_head_dim": s.width // s.heads,
        "in_channels": s.in_channels,
        "out_channels": s.out_channels,
        "num_layers": s.depth,
        "sample_size": found.side,
        "patch_size": s.patch,
        "num_embeds_ada_norm": found.classes,
        "dropout": 0.0,
        "norm_eps": s.norm_eps,
    }


def read_weights(found: ForeignDiT, tensors: ForeignTensors) -> Weights:
    """Our weights from theirs.

    Raises:
        InputError: a tensor is missing, left over or of another shape, or the embeddings of the blocks differ.
    """
    with shapes_only():
        like = {f"net.{name}": tensor for name, tensor in PlainDiT(found.settings).state_dict().items()}
        like[LABEL_TABLE] = torch.empty(found.classes + 1, found.settings.width)
    weights = read(table(found.settings), tensors, like)
    tensors.finish()
    return weights


def write_weights(settings: PlainDiTSettings, weights: Weights) -> Weights:
    """Their weights from ours."""
    return write(table(settings), weights)


def table(s: PlainDiTSettings) -> list[Correspondence]:
    """The correspondence of all weights.

    Their network repeats the embeddings of time and label in each block, separates queries, keys and values, and has a
    convolution as its first layer. Its cosines of time come before the sines, and the channels of a patch's pixel are
    adjacent.
    """
    area, first = s.patch**2, (s.width, s.in_channels, s.patch, s.patch)
    time = "net.time.linear", "timestep_embedder.linear_"
    return [
        _everywhere(Correspondence(LABEL_TABLE, ("class_embedder.embedding_table.weight",)), s.depth),
        _everywhere(cosines_first(f"{time[0]}1.weight", f"{time[1]}1.weight", FREQUENCIES), s.depth),
        *(
            _everywhere(Correspondence(time[0] + part, (time[1] + part,)), s.depth)
            for part in ("1.bias", "2.weight", "2.bias")
        ),
        reshaped("net.embed.weight", "pos_embed.proj.weight", (s.width, s.in_channels * area), first),
        Correspondence("net.embed.bias", ("pos_embed.proj.bias",)),
        *(pair for i in range(s.depth) for pair in _block(f"net.blocks.{i}.", f"transformer_blocks.{i}.")),
        *layer("net.modulation", "proj_out_1"),
        *channels_last("net.out", "proj_out_2", area, s.out_channels),
    ]


def _block(ours: str, theirs: str) -> list[Correspondence]:
    return [
        *layer(f"{ours}modulation", f"{theirs}norm1.linear"),
        *(
            stacked(f"{ours}attention.qkv.{part}", *(f"{theirs}attn1.to_{one}.{part}" for one in "qkv"))
            for part in ("weight", "bias")
        ),
        *layer(f"{ours}attention.out", f"{theirs}attn1.to_out.0"),
        *layer(f"{ours}linear1", f"{theirs}ff.net.0.proj"),
        *layer(f"{ours}linear2", f"{theirs}ff.net.2"),
    ]


def _everywhere(pair: Correspondence, depth: int) -> Correspondence:
    """A tensor of the embeddings, of which each block has a copy."""
    names = tuple(f"transformer_blocks.{i}.norm1.emb.{name}" for i in range(depth) for name in pair.theirs)

    def join(parts: Parts) -> torch.Tensor:
        for name, part in zip(names, parts, strict=True):
            if not torch.equal(part, parts[0]):
                raise InputError(
                    "incompatible",
                    f"{name} differs from {names[0]}, but a plain-dit has one embedding for all blocks; use another "
                    "model",
                )
        return pair.join(parts[:1])

    return replace(pair, theirs=names, join=join, split=lambda tensor: pair.split(tensor) * depth)

"""The weights of diffusers' U-Nets and of our ``plain-unet``."""

import re

import torch

from ddpm.exchange.correspondence import Correspondence, cosines_first, reshaped, stacked

Modules = dict[str, tuple[str, ...]]
"""Our modules and theirs; one of ours stacks several of theirs."""
BLOCK: Modules = {"time": ("time_emb_proj",), "shortcut": ("conv_shortcut",)}
ATTENTION: Modules = {"norm": ("group_norm",), "qkv": ("to_q", "to_k", "to_v"), "out": ("to_out.0",)}
FORMER_ATTENTION: Modules = {"norm": ("group_norm",), "qkv": ("query", "key", "value"), "out": ("proj_attn",)}
"""Those in files of diffusers before 0.15."""
TRANSFORMER: Modules = {"norm": ("norm",), "embed": ("proj_in",), "out": ("proj_out",)}
LAYER: Modules = {
    "attention.qkv": ("attn1.to_q", "attn1.to_k", "attn1.to_v"),
    "attention.out": ("attn1.to_out.0",),
    "cross_attention.q": ("attn2.to_q",),
    "cross_attention.kv": ("attn2.to_k", "attn2.to_v"),
    "cross_attention.out": ("attn2.to_out.0",),
    "mlp.gated": ("ff.net.0.proj",),
    "mlp.out": ("ff.net.2",),
}
ENDS: Modules = {
    "time.linear1": ("time_embedding.linear_1",),
    "time.linear2": ("time_embedding.linear_2",),
    "norm_out": ("conv_norm_out",),
}
PLACE = re.compile(
    r"(?P<half>down|up|middle)\.(?P<level>\d+)\.(?:layers\.(?P<layer>\d+)\.|(?P<step>resample)\.)?"
    r"(?P<part>block|attention|transformer|conv)\.(?P<rest>.+)"
)
"""The names of our weights, but for those at both ends of the network."""


def table(
    weights: dict[str, torch.Tensor], *, flipped: bool, linear: bool, former: bool = False
) -> list[Correspondence]:
    """The correspondence of all weights of a ``plain-unet``.

    Args:
        weights: those of the network, or tensors with their names and shapes.
        flipped: whether theirs has the cosines of time before the sines.
        linear: whether the projections of its transformers are linear layers, and no convolutions.
        former: whether its attention has the names of diffusers before 0.15.
    """
    return [_pair(name, tuple(tensor.shape), flipped, linear, former) for name, tensor in weights.items()]


def _pair(ours: str, shape: tuple[int, ...], flipped: bool, linear: bool, former: bool) -> Correspondence:
    found = PLACE.fullmatch(ours)
    if found is None:
        theirs = _named(ours, ENDS)
        if ours == "time.linear1.weight" and flipped:
            return cosines_first(ours, theirs[0], shape[1])
        return Correspondence(ours, theirs)
    half, level, layer, step, part, rest = found.groups()
    where = "mid_block" if half == "middle" else f"{half}_blocks.{level}"
    if step is not None:
        return _several(ours, f"{where}.{half}samplers.0", _named(rest, BLOCK))
    index = layer if layer is not None else level if part == "block" else 0
    if part == "block":
        return _several(ours, f"{where}.resnets.{index}", _named(rest, BLOCK))
    where = f"{where}.attentions.{index}"
    if part == "attention":
        return _several(ours, where, _named(rest, FORMER_ATTENTION if former else ATTENTION))
    if rest.startswith("layers."):
        _, number, inner = rest.split(".", 2)
        return _several(ours, f"{where}.transformer_blocks.{number}", _named(inner, LAYER))
    if rest in ("embed.weight", "out.weight") and not linear:
        return reshaped(ours, f"{where}.{_named(rest, TRANSFORMER)[0]}", shape, (*shape, 1, 1))
    return _several(ours, where, _named(rest, TRANSFORMER))


def _named(name: str, modules: Modules) -> tuple[str, ...]:
    """Their names of a weight, within its part of the network."""
    module, kind = name.rsplit(".", 1)
    return tuple(f"{one}.{kind}" for one in modules.get(module, (module,)))


def _several(ours: str, where: str, theirs: tuple[str, ...]) -> Correspondence:
    names = tuple(f"{where}.{one}" for one in theirs)
    return stacked(ours, *names) if len(names) > 1 else Correspondence(ours, names)

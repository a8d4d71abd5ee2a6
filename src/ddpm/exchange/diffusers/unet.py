"""diffusers' UNet2DModel and UNet2DConditionModel, and our ``unet`` and ``plain-unet``."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from ddpm import build
from ddpm.config.network import UNetSettings
from ddpm.config.plain_unet import PlainUNetSettings
from ddpm.exchange.correspondence import Correspondence, read, write
from ddpm.exchange.diffusers.own_unet import own_settings, plain_name, plain_settings
from ddpm.exchange.diffusers.unet_settings import ForeignUNet2D, ForeignUNet2DCondition
from ddpm.exchange.diffusers.unet_weights import table
from ddpm.exchange.diffusers.unet_written import foreign
from ddpm.exchange.imported import LABEL_TABLE
from ddpm.exchange.tensors import ForeignTensors
from ddpm.records.run_folder import Weights
from ddpm.system.errors import InputError
from ddpm.system.meta import shapes_only

HostSettings = UNetSettings | PlainUNetSettings
CLASSES = {kind.CLASS_NAME: kind for kind in (ForeignUNet2D, ForeignUNet2DCondition)}
LABELS = "class_embedding.weight"
"""Their embedding of class labels."""


def read_unet(config: Mapping[str, Any], tensors: ForeignTensors) -> tuple[HostSettings, Weights, torch.Tensor | None]:
    """Their network as a ``unet`` where it is one, else as a ``plain-unet``.

    Args:
        config: the contents of its config.json.

    Returns:
        The settings; the weights by their names in a model, "net.…"; and the embedding of its class labels, (classes,
        width), which has no null label unless the model was trained with one.

    Raises:
        InputError: a setting is not supported, or a tensor is missing, left over or of another shape.
    """
    name = config.get("_class_name", ForeignUNet2D.CLASS_NAME)
    if name not in CLASSES:
        raise InputError("incompatible", f"{tensors.source} is a {name}, not a U-Net; use one of {', '.join(CLASSES)}")
    theirs: ForeignUNet2D | ForeignUNet2DCondition = CLASSES[name].parse(config, tensors.source)
    plain = theirs.settings(tensors.source)
    own = own_settings(plain)
    linear = isinstance(theirs, ForeignUNet2DCondition) and theirs.use_linear_projection
    former = any(".query." in one for one in tensors.names())
    like = _network(plain if own is None else own)
    pairs = _pairs(like, own is not None, flipped=theirs.flip_sin_to_cos, linear=linear, former=former)
    weights = read(pairs, tensors, like)
    labels = None
    if theirs.num_class_embeds is not None:
        labels = tensors.take(LABELS, (theirs.num_class_embeds, plain.time_width))
    tensors.finish()
    return own or plain, {f"net.{name}": tensor for name, tensor in weights.items()}, labels


def write_unet(
    settings: HostSettings, weights: Weights, size: tuple[int, int], *, null: bool = True
) -> tuple[dict[str, Any], Weights]:
    """The contents of config.json of their network, and its tensors.

    The embedding of class labels is that of time and label together, computed in float64 for a ``unet``, which has a
    layer between them. The last of its rows is the null label.

    Args:
        weights: by their names in the model, "net.…" and "conditioners.label.…".
        size: (H, W) of x.
        null: whether to write the null label; without it, the model was trained on labels alone.

    Raises:
        InputError: they have no such network.
    """
    left = dict(weights)
    labels = left.pop(LABEL_TABLE, None)
    layer = left.pop("net.cond.weight", None)
    if labels is not None and layer is not None:
        labels = (labels.double() @ layer.double().T).float()
    if labels is not None and not null:
        labels = labels[:-1]
    own = isinstance(settings, UNetSettings)
    plain = plain_settings(settings) if isinstance(settings, UNetSettings) else settings
    theirs = foreign(plain, size, None if labels is None else len(labels))
    pairs = _pairs(_network(plain), False, flipped=theirs.flip_sin_to_cos, linear=False)
    net = {name.removeprefix("net."): tensor for name, tensor in left.items() if name.startswith("net.")}
    if others := sorted(left.keys() - {f"net.{name}" for name in net}):
        raise InputError(
            "incompatible", f"{theirs.CLASS_NAME} has no part for {others[0]}; export a run without this condition"
        )
    found = write(pairs, {plain_name(name) if own else name: tensor for name, tensor in net.items()})
    return theirs.tree(), found if labels is None else {**found, LABELS: labels}


def _network(settings: HostSettings) -> dict[str, torch.Tensor]:
    """The tensors of a network, without values."""
    with shapes_only():
        return dict(build.NETWORKS[settings.kind](settings).state_dict())


def _pairs(like: Mapping[str, torch.Tensor], own: bool, **how: bool) -> list[Correspondence]:
    """The correspondence of all weights of a network, of our ``unet`` or of a ``plain-unet``."""
    ours = {plain_name(name) if own else name: name for name in like}
    pairs = table({plain: like[name] for plain, name in ours.items()}, **how)
    return [replace(pair, ours=ours[pair.ours]) for pair in pairs]

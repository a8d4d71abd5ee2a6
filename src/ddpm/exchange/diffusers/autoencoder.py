"""diffusers' AutoencoderKL, VQModel and AutoencoderTiny, and our autoencoders."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ddpm import build
from ddpm.config.autoencoder import AutoencoderConfig, AutoencoderSettings
from ddpm.config.data import DataConfig
from ddpm.config.tiny_autoencoder import TinyAutoencoderSettings
from ddpm.exchange.autoencoder import DIFFUSERS, AutoencoderTable
from ddpm.exchange.correspondence import Correspondence, read, write
from ddpm.exchange.diffusers.autoencoder_settings import ForeignAutoencoder, TinyForeignAutoencoder
from ddpm.exchange.diffusers.folder import CONFIG, class_name, read_part
from ddpm.exchange.flags import refuse_flags
from ddpm.exchange.imported import MODES, Imported
from ddpm.exchange.tensors import ForeignTensors
from ddpm.networks import TinyAutoencoder
from ddpm.records.codec import StoredCodec
from ddpm.records.latents import LatentsRecord
from ddpm.records.run_folder import Weights, weights_hash
from ddpm.system.errors import InputError
from ddpm.system.meta import shapes_only

KNOWN = {kind: one for one in (ForeignAutoencoder, TinyForeignAutoencoder) for kind in one.CLASS_NAMES}
"""The settings of each class."""
FORMERLY = replace(DIFFUSERS, projections=("group_norm", "query", "key", "value", "proj_attn"))
"""The names in files of diffusers before 0.15."""
UNKNOWN = (512, 512)
"""The size of images if no file states it: that of Stable Diffusion, and a multiple of every known factor."""
MAPS = {"quant": "use_quant_conv", "post_quant": "use_post_quant_conv"}
"""The linear layers of the latents, and the settings that enable them."""


def recognises(path: Path) -> bool:
    """Whether a folder holds an autoencoder by itself."""
    return class_name(path / CONFIG) in (*KNOWN, "AsymmetricAutoencoderKL", "ConsistencyDecoderVAE")


def read_model(path: Path, flags: str | None) -> Imported:
    """Read an autoencoder, whose latents a run can then model.

    Raises:
        InputError: its files are missing or damaged, or a setting is not supported.
    """
    refuse_flags(flags, path)
    part = read_part(path)
    found = read_autoencoder(part.config, part.tensors)
    mode = f"images are {found.config.data.mode}, as the network has {found.config.network.image_channels} channels"
    said = [mode]
    if found.config.data.size == UNKNOWN and part.config.get("sample_size") not in (UNKNOWN[0], list(UNKNOWN)):
        said.append(f"images are {UNKNOWN[0]} × {UNKNOWN[1]}, as its settings name no size that it can divide")
    return Imported(found.config, found.weights, (part.words,), tuple(said), latents=found.latents)


def read_autoencoder(config: Mapping[str, Any], tensors: ForeignTensors) -> StoredCodec:
    """An autoencoder of diffusers as one of ours.

    ``(z - shift_factor) · scaling_factor`` becomes the normalisation of the latents.

    Args:
        config: the contents of its config.json.

    Raises:
        InputError: a setting is not supported, or a tensor is missing, left over or of another shape.
    """
    name = config.get("_class_name", "AutoencoderKL")
    if name not in KNOWN:
        raise InputError(
            "incompatible", f"{tensors.source} is a {name}, which is not supported; use one of {', '.join(KNOWN)}"
        )
    theirs = KNOWN[name].parse(config, tensors.source)
    size, factor = theirs.size, theirs.factor
    made = config_of(theirs.network(), None if any(n % factor for n in size) else size, tensors.source)
    like = network_of(made)
    net = made.network
    if isinstance(net, TinyAutoencoderSettings):
        weights = read(_tiny(net), tensors, like)
    else:
        assert isinstance(theirs, ForeignAutoencoder)
        maps = tuple(ours for ours, key in MAPS.items() if getattr(theirs, key))
        old = "encoder.mid_block.attentions.0.query.weight" in tensors
        weights = read(AutoencoderTable(net, FORMERLY if old else DIFFUSERS, maps), tensors, like)
        weights |= {
            f"{ours}.{kind}": value for ours in MAPS if ours not in maps for kind, value in _identity(like, ours)
        }
    tensors.finish()
    mean, spread = theirs.normalisation(net.channels)
    return stored_codec(made, weights, mean, spread, tensors.source)


def config_of(network: Mapping[str, Any], size: tuple[int, int] | None, source: str) -> AutoencoderConfig:
    """The settings of an imported autoencoder.

    Args:
        network: its tree.
        size: (H, W) of its images; None if it is not known.
        source: where it was read from.

    Raises:
        InputError: a setting is not supported.
    """
    channels = network.get("image_channels")
    if channels not in MODES:
        raise InputError(
            "incompatible", f"{source} encodes images of {channels} channels; use one of {', '.join(map(str, MODES))}"
        )
    data = DataConfig.unknown(size or UNKNOWN, MODES[channels]).model_dump()
    training = {"images": 0, "label_dropout": 0.0}
    tree = {"request": {"import": source}, "data": data, "network": network, "training": training}
    return AutoencoderConfig.parse(tree, source)


def network_of(config: AutoencoderConfig) -> dict[str, torch.Tensor]:
    """The tensors of its network, without values."""
    with shapes_only():
        return dict(build.build_autoencoder_model(config).net.state_dict())


def stored_codec(
    config: AutoencoderConfig, weights: Weights, mean: list[float], spread: list[float], source: str
) -> StoredCodec:
    """An autoencoder with the weights of its network."""
    named = {f"net.{name}": tensor for name, tensor in weights.items()}
    hash = weights_hash(named)
    return StoredCodec(Path(source), config, named, LatentsRecord(mean=mean, spread=spread, weights=hash), hash)


def write_autoencoder(stored: StoredCodec, *, shifts: bool = True) -> tuple[dict[str, Any], Weights]:
    """The contents of config.json of diffusers' autoencoder, and its tensors.

    If the channels of the latents have different statistics, which its pipelines do not support, the normalisation
    becomes part of the linear layers of the latents, computed in float64. These weights then differ from ours, and the
    log-variance is clamped after it.

    Args:
        shifts: whether its pipeline uses ``shift_factor``, which those of DiT and Stable Diffusion ignore.

    Raises:
        InputError: diffusers has no such network.
    """
    net, latents = stored.config.network, stored.latents
    weights = {name.removeprefix("net."): tensor for name, tensor in stored.weights.items()}
    mean, spread = latents.mean, latents.spread
    if isinstance(net, TinyAutoencoderSettings):
        if mean[0] and not shifts:
            raise InputError(
                "incompatible",
                f"{stored.source}: the latents of the tiny autoencoder are shifted by {mean[0]:g}, which diffusers' "
                "pipelines ignore; use one whose shift_factor is 0",
            )
        return TinyForeignAutoencoder.of(net, mean[0], spread[0]).tree(), write(_tiny(net), weights)
    _refuse_unknown(net, stored.source)
    if len({*mean}) > 1 or len({*spread}) > 1 or (mean[0] and not shifts):
        weights |= _normalising(weights, *(torch.tensor(values, dtype=torch.float64) for values in (mean, spread)))
        mean, spread = [0.0], [1.0]
    maps = tuple(
        ours for ours in MAPS if not all(torch.equal(weights[f"{ours}.{k}"], v) for k, v in _identity(weights, ours))
    )
    theirs = ForeignAutoencoder.of(net, stored.config.data.size, mean[0], spread[0], {MAPS[one] for one in maps})
    return theirs.tree(), write(AutoencoderTable(net, DIFFUSERS, maps if net.stochastic else tuple(MAPS)), weights)


def _refuse_unknown(net: AutoencoderSettings, source: Path) -> None:
    known = AutoencoderSettings(norm_groups=net.norm_groups, width=net.norm_groups)
    for name in ("patch", "norm"):
        if getattr(net, name) != getattr(known, name):
            raise InputError(
                "incompatible",
                f"{source}: the autoencoder has {name} {getattr(net, name)}, and diffusers has only {name} "
                f"{getattr(known, name)}; train one with --set network.{name}={getattr(known, name)}",
            )
    if net.stochastic and net.inner_channels not in (None, net.channels):
        raise InputError(
            "incompatible",
            f"{source}: the autoencoder has network.inner_channels {net.inner_channels}, and diffusers only as many as "
            f"the {net.channels} channels of the latents; train one without it",
        )


def _normalising(weights: Weights, mean: torch.Tensor, spread: torch.Tensor) -> Weights:
    """The linear layers of normalised latents ``(z - mean) / spread``.

    Args:
        mean, spread: (C',) float64.
    """
    # (2 C', inner, 1, 1): the mean of the latents, and the log of their variance
    encode, bias = (weights[f"quant.{kind}"].double() for kind in ("weight", "bias"))
    to_mean, to_logvar = encode.chunk(2)
    shift, logvar = bias.chunk(2)
    decode, back = (weights[f"post_quant.{kind}"].double() for kind in ("weight", "bias"))
    found = {
        "quant.weight": torch.cat([to_mean / spread[:, None, None, None], to_logvar]),
        "quant.bias": torch.cat([(shift - mean) / spread, logvar - 2 * spread.log()]),
        # (inner, C', 1, 1)
        "post_quant.weight": decode * spread[:, None, None],
        "post_quant.bias": back + decode[:, :, 0, 0] @ mean,
    }
    return {name: tensor.float() for name, tensor in found.items()}


def _identity(like: Mapping[str, torch.Tensor], name: str) -> Iterable[tuple[str, torch.Tensor]]:
    """The weight and the bias of a linear layer of this shape that changes nothing."""
    out, inner = like[f"{name}.weight"].shape[:2]
    return ("weight", torch.eye(out, inner)[:, :, None, None]), ("bias", torch.zeros(out))


def _tiny(settings: TinyAutoencoderSettings) -> list[Correspondence]:
    """The correspondence of a tiny autoencoder, whose layers have the same numbers in both."""
    with shapes_only():
        names = TinyAutoencoder(settings).state_dict()
    return [Correspondence(name, (name.replace("coder.", "coder.layers.", 1),)) for name in names]

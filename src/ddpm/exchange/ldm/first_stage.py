"""The autoencoder of latent diffusion, and ours."""

from typing import Any

from ddpm.config.autoencoder import AutoencoderSettings
from ddpm.exchange.autoencoder import AutoencoderTable, Layout
from ddpm.exchange.correspondence import read
from ddpm.exchange.diffusers.autoencoder import config_of, network_of, stored_codec
from ddpm.exchange.tensors import ForeignTensors
from ddpm.records.codec import StoredCodec
from ddpm.system.errors import InputError

LAYOUT = Layout(
    down="encoder.down.{level}.block.{i}",
    up="decoder.up.{scale}.block.{i}",
    downsample="encoder.down.{before}.downsample.conv",
    upsample="decoder.up.{above}.upsample.conv",
    middle=("{half}.mid.block_1", "{half}.mid.block_2"),
    attention="{half}.mid.attn_1",
    shortcut="nin_shortcut",
    projections=("norm", "q", "k", "v", "proj_out"),
    norm_out="{half}.norm_out",
    kernels=True,
)
SCALE = 0.18215
"""The factor of the latents of Stable Diffusion."""


def read_first_stage(
    tensors: ForeignTensors, model: ForeignTensors, scale: float | None, inferred: list[str]
) -> StoredCodec:
    """The autoencoder of a model.

    Args:
        tensors: its own.
        model: the tensors of the model, one of which may be the factor of its latents.
        scale: that factor, if given.
        inferred: receives a line if the factor is neither given nor stored.

    Raises:
        InputError: a tensor is missing, left over or of another shape, or the factor is not positive.
    """
    stored = float(model.take("scale_factor")) if "scale_factor" in model else None
    if scale is None and stored is None:
        inferred.append(f'latents are scaled by {SCALE}; --flags "--scale_factor S" for others')
    factor = scale if scale is not None else stored if stored is not None else SCALE
    if not factor > 0:
        raise InputError("invalid", f"{tensors.source}: the scale of the latents is {factor:g}; it must be above 0")
    made = config_of(_settings(tensors), None, tensors.source)
    net = made.network
    assert isinstance(net, AutoencoderSettings)
    weights = read(AutoencoderTable(net, LAYOUT), tensors, network_of(made))
    return stored_codec(made, weights, [0.0] * net.channels, [1 / factor] * net.channels, tensors.source)


def _settings(tensors: ForeignTensors) -> dict[str, Any]:
    """The tree of our network's settings, from the shapes of theirs."""
    width, channels = tensors.shape("encoder.conv_in.weight")[:2]
    inner, latents = tensors.shape("post_quant_conv.weight")[:2]
    multipliers: list[int] = []
    blocks = 0
    while (first := f"encoder.down.{len(multipliers)}.block.0.conv1.weight") in tensors:
        multipliers.append(tensors.shape(first)[0] // width)
    while f"encoder.down.0.block.{blocks}.conv1.weight" in tensors:
        blocks += 1
    codebook = "quantize.embedding.weight"
    return {
        "kind": "ldm",
        "image_channels": channels,
        "channels": latents,
        "width": width,
        "multipliers": multipliers,
        "blocks": blocks,
        "attention": "encoder.mid.attn_1.norm.weight" in tensors,
        "norm_groups": 32,
        "codebook": tensors.shape(codebook)[0] if codebook in tensors else 0,
        "inner_channels": None if inner == latents else inner,
    }

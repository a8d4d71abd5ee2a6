"""Our autoencoders with the weights of diffusers', and theirs with ours."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, VQModel

from cases import cases
from ddpm.config.autoencoder import AutoencoderConfig, AutoencoderSettings
from ddpm.engine.codec import loaded
from ddpm.exchange.autoencoder import DIFFUSERS, AutoencoderTable
from ddpm.exchange.correspondence import write
from ddpm.exchange.diffusers.autoencoder import read_autoencoder, write_autoencoder
from ddpm.exchange.tensors import ForeignTensors
from ddpm.networks import Autoencoder
from ddpm.records.codec import StoredCodec
from ddpm.system.errors import Code
from randomised import randomised
from refusal import refuses

CPU = torch.device("cpu")
SHAPE: dict[str, Any] = {
    "down_block_types": ("DownEncoderBlock2D",) * 3,
    "up_block_types": ("UpDecoderBlock2D",) * 3,
    "block_out_channels": (8, 16, 16),
    "norm_num_groups": 4,
}
TINY: dict[str, Any] = {
    "encoder_block_out_channels": (8,) * 3,
    "decoder_block_out_channels": (8,) * 3,
    "num_encoder_blocks": (1, 2, 1),
    "num_decoder_blocks": (2, 1, 1),
}
THEIRS = [
    lambda: AutoencoderKL(**SHAPE),
    lambda: AutoencoderKL(
        **SHAPE, layers_per_block=2, sample_size=(32, 64), scaling_factor=0.3611, shift_factor=0.1159
    ),
    lambda: AutoencoderKL(**SHAPE, use_quant_conv=False, use_post_quant_conv=False, mid_block_add_attention=False),
    lambda: VQModel(**SHAPE, latent_channels=3, num_vq_embeddings=64, sample_size=64),
    lambda: VQModel(**SHAPE, latent_channels=4, vq_embed_dim=2, num_vq_embeddings=16, scaling_factor=1.0),
    lambda: AutoencoderTiny(**TINY),
    lambda: AutoencoderTiny(**TINY, latent_channels=16, scaling_factor=1.5, shift_factor=0.25),
]
"""Networks of each kind."""


def settings_of(net: Any) -> dict[str, Any]:
    """Their config.json."""
    found: dict[str, Any] = json.loads(net.to_json_string())
    return found


def imported(net: Any) -> StoredCodec:
    return read_autoencoder(settings_of(net), ForeignTensors(net.state_dict(), "vae"))


def encoded(net: Any, x: torch.Tensor) -> torch.Tensor:
    found = net.encode(x)
    return found.latent_dist.mean if hasattr(found, "latent_dist") else found.latents


@cases("make", THEIRS)
@torch.no_grad()
def test_latents_and_images_are_those_of_diffusers(make: Any) -> None:
    theirs = randomised(make).eval()
    ours = loaded(imported(theirs), CPU)
    x = torch.rand(2, 3, 32, 48) * 2 - 1
    mean, logvar = ours.net.moments(x)
    torch.testing.assert_close(mean, encoded(theirs, x), rtol=1e-5, atol=1e-5)
    if isinstance(theirs, AutoencoderKL):
        torch.testing.assert_close(logvar, theirs.encode(x).latent_dist.logvar, rtol=1e-5, atol=1e-5)
    z = torch.randn_like(mean)
    torch.testing.assert_close(ours.net.decode(z), theirs.decode(z).sample, rtol=1e-5, atol=1e-5)
    shift = theirs.config.get("shift_factor") or 0.0
    torch.testing.assert_close(z * ours.spread[0] + ours.mean[0], z / theirs.config.scaling_factor + shift)


@cases("make", THEIRS)
def test_weights_and_settings_return_bit_for_bit(make: Any) -> None:
    theirs = randomised(make)
    config, tensors = write_autoencoder(imported(theirs))
    again = type(theirs).from_config(config)
    again.load_state_dict(tensors)
    assert all(torch.equal(value, tensors[name]) for name, value in theirs.state_dict().items())
    assert settings_of(again) == settings_of(theirs)


def test_names_of_older_files_are_known() -> None:
    theirs = randomised(THEIRS[0])
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    state = theirs.state_dict()
    for ours, former in old.items():
        state = {name.replace(f".{ours}.", f".{former}."): tensor for name, tensor in state.items()}
    found = read_autoencoder(settings_of(theirs), ForeignTensors(state, "vae"))
    assert found.hash == imported(theirs).hash


@torch.no_grad()
def test_statistics_of_each_channel_become_part_of_the_weights() -> None:
    mean, std = (0.5, -1.0, 0.0, 2.0), (0.5, 2.0, 1.0, 4.0)
    theirs = randomised(lambda: AutoencoderKL(**SHAPE, latents_mean=mean, latents_std=std, scaling_factor=0.5)).eval()
    stored = imported(theirs)
    codec = loaded(stored, CPU)
    torch.testing.assert_close(codec.mean, torch.tensor(mean))
    torch.testing.assert_close(codec.spread, torch.tensor(std) * 2)
    config, tensors = write_autoencoder(stored)
    again = AutoencoderKL.from_config(config).eval()
    again.load_state_dict(tensors)
    assert (config["scaling_factor"], config.get("shift_factor")) == (1.0, None)
    x, z = torch.rand(2, 3, 16, 16) * 2 - 1, torch.randn(2, 4, 4, 4)
    spread, centre = codec.spread[:, None, None], codec.mean[:, None, None]
    before, after = theirs.encode(x).latent_dist, again.encode(x).latent_dist
    torch.testing.assert_close(after.mean, (before.mean - centre) / spread, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(after.std, before.std / spread, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(again.decode(z).sample, theirs.decode(z * spread + centre).sample, rtol=1e-5, atol=1e-5)


@cases(
    ("changes", "named", "code"),
    [
        ({"act_fn": "relu"}, "act_fn", "incompatible"),
        (
            {"down_block_types": ["DownEncoderBlock2D"] * 2 + ["AttnDownEncoderBlock2D"]},
            "AttnDownEncoderBlock2D",
            "incompatible",
        ),
        ({"out_channels": 4}, "out_channels", "incompatible"),
        ({"latents_mean": [0.0] * 4}, "latents_mean", "incompatible"),
        ({"latents_mean": [0.0] * 3, "latents_std": [1.0] * 3}, "latents_mean", "incompatible"),
        ({"layers_per_block": "two"}, "layers_per_block", "incompatible"),
        ({"new_setting": 1}, "new_setting", "incompatible"),
        ({"_class_name": "AsymmetricAutoencoderKL"}, "AsymmetricAutoencoderKL", "incompatible"),
        ({"norm_num_groups": 5}, "norm_groups", "invalid"),
        ({"latent_channels": 8}, "quant_conv", "incompatible"),
        ({"block_out_channels": [8, 16]}, "down_block_types", "incompatible"),
        ({"use_quant_conv": False}, "quant_conv", "incompatible"),
    ],
)
def test_what_is_not_supported_is_named(changes: dict[str, Any], named: str, code: Code) -> None:
    theirs = AutoencoderKL(**SHAPE)
    with refuses(code, named):
        read_autoencoder(settings_of(theirs) | changes, ForeignTensors(theirs.state_dict(), "vae"))


@cases("changes", [{"patch": 2}, {"norm": "layer"}])
def test_networks_that_diffusers_lacks_are_refused(changes: dict[str, Any]) -> None:
    stored = imported(AutoencoderKL(**SHAPE))
    network = {**stored.config.model_dump()["network"], **changes}
    config = AutoencoderConfig.parse({**stored.config.model_dump(), "network": network})
    with refuses("incompatible", *changes):
        write_autoencoder(StoredCodec(Path("ae"), config, stored.weights, stored.latents, stored.hash))


def test_shifted_latents_of_tiny_autoencoders_are_refused_where_pipelines_ignore_the_shift() -> None:
    shape = {"encoder_block_out_channels": (8, 8), "decoder_block_out_channels": (8, 8)}
    theirs = AutoencoderTiny(**shape, num_encoder_blocks=(1, 1), num_decoder_blocks=(1, 1), shift_factor=0.75)
    stored = imported(theirs)
    assert write_autoencoder(stored)[0]["shift_factor"] == 0.75
    with refuses("incompatible", "shift_factor"):
        write_autoencoder(stored, shifts=False)


@pytest.mark.parametrize("mode", ["L", "RGBA"])
@torch.no_grad()
def test_autoencoders_of_our_own_become_theirs(mode: str) -> None:
    settings = AutoencoderSettings(
        image_channels=len(mode), channels=2, width=24, multipliers=(1, 2), blocks=1, norm_groups=12
    )
    ours = randomised(lambda: Autoencoder(settings)).eval()
    theirs = AutoencoderKL(
        in_channels=len(mode),
        out_channels=len(mode),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=settings.widths,
        latent_channels=2,
        norm_num_groups=12,
    ).eval()
    theirs.load_state_dict(write(AutoencoderTable(settings, DIFFUSERS), ours.state_dict()))
    x = torch.rand(1, len(mode), 16, 16) * 2 - 1
    torch.testing.assert_close(ours.moments(x)[0], theirs.encode(x).latent_dist.mean, rtol=1e-5, atol=1e-5)

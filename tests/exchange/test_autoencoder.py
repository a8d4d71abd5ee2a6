"""Autoencoders of other programs as codecs of runs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny, VQModel
from PIL import Image

import ddpm
from ddpm.config.data import DataConfig
from ddpm.config.diffusion import DiffusionConfig
from ddpm.config.network import UNetSettings
from ddpm.config.run import IMPORTED, RunConfig
from ddpm.config.sampling import SamplingConfig
from ddpm.config.training import TrainSettings
from ddpm.exchange.diffusers.autoencoder import read_autoencoder, read_model, recognises
from ddpm.exchange.imported import Imported
from ddpm.exchange.tensors import ForeignTensors
from ddpm.networks import UNet
from ddpm.records.codec import StoredCodec
from ddpm.sampling.follow import Moment
from randomised import randomised

CODECS: dict[str, Any] = {
    "vq": lambda: VQModel(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8),
        norm_num_groups=4,
        num_vq_embeddings=64,
        scaling_factor=1.0,
    ),
    "tiny": lambda: AutoencoderTiny(
        encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8),
        num_encoder_blocks=(1, 1),
        num_decoder_blocks=(1, 1),
        latent_channels=3,
    ),
}


def imported(theirs: Any) -> Imported:
    """A run in the latents of an autoencoder of diffusers, with random weights."""
    stored = read_autoencoder(
        dict(theirs.config, _class_name=type(theirs).__name__), ForeignTensors(theirs.state_dict(), "vae")
    )
    network = UNetSettings(width=8, multipliers=(1, 2), blocks=1)
    config = RunConfig(
        recipe=IMPORTED,
        request={"import": "ldm"},
        data=DataConfig(source="", fingerprint="", images=0, held_out=0, size=(16, 16), mode="RGB"),
        diffusion=DiffusionConfig(schedule="linear", prediction="eps"),
        network=network,
        codec=stored.settings,
        training=TrainSettings(images=0, label_dropout=0.0),
        sampling=SamplingConfig.of(steps=2, clip=False),
    )
    weights = {f"net.{name}": tensor for name, tensor in randomised(lambda: UNet(network)).state_dict().items()}
    return Imported(config, weights, (), codec=stored)


@pytest.mark.parametrize("kind", CODECS)
@torch.no_grad()
def test_runs_sample_and_edit_with_the_autoencoder(kind: str, tmp_path: Path) -> None:
    theirs = randomised(CODECS[kind]).eval()
    imported(theirs).write(tmp_path / "run")
    pipe = ddpm.load(tmp_path / "run", "cpu")
    latents: list[torch.Tensor] = []

    def watch(moment: Moment) -> None:
        latents.append(moment.x)

    (image,) = pipe.sample(1, watch=watch)
    expected = theirs.decode(latents[-1] / theirs.config.scaling_factor).sample
    ours = torch.from_numpy(np.array(image)).movedim(-1, 0) / 127.5 - 1
    torch.testing.assert_close(ours, expected[0].clamp(-1, 1), rtol=0, atol=0.51 / 127.5)

    values = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    photo, mask = Image.fromarray(values), np.zeros((16, 16), np.uint8)
    mask[:, 8:] = 255
    x = torch.from_numpy(values).movedim(-1, 0)[None] / 127.5 - 1
    torch.testing.assert_close(
        pipe.run.engine.encoded(values[None]),
        theirs.encode(x).latents * theirs.config.scaling_factor,
        rtol=1e-5,
        atol=1e-5,
    )
    filled = np.asarray(pipe.inpaint(photo, Image.fromarray(mask), steps=2))
    assert np.array_equal(filled[mask == 0], values[mask == 0])
    assert not np.array_equal(filled, values)
    assert np.asarray(pipe.edit(photo, 0.5, steps=2)).shape == values.shape


@pytest.mark.parametrize("variant", ["", "fp16", "shards", "bin"])
def test_a_folder_becomes_an_autoencoder_for_training(
    variant: str, tmp_path: Path, cli: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = randomised(CODECS["vq"])
    how: dict[str, Any] = {"fp16": {"variant": "fp16"}, "shards": {"max_shard_size": "20KB"}}.get(variant, {})
    (theirs.half() if variant == "fp16" else theirs).save_pretrained(
        tmp_path / "vae", safe_serialization=variant != "bin", **how
    )
    assert recognises(tmp_path / "vae")
    found = read_model(tmp_path / "vae", None)
    assert ("fp16" in found.read[0], ".bin" in found.read[0]) == (variant == "fp16", variant == "bin")
    found.write(tmp_path / "ae")
    read = StoredCodec.read(tmp_path / "ae")
    assert torch.equal(read.weights["net.codebook.weight"], theirs.quantize.embedding.weight.float())
    if variant:
        return
    images = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 3), np.uint8)
    np.savez(tmp_path / "photos.npz", images)
    words = ["--codec", tmp_path / "ae", "--out", tmp_path / "run", "--images", "32", "--dry-run"]
    assert cli("train", tmp_path / "photos.npz", *words) == 0
    assert "3 channels" in capsys.readouterr().out
    assert cli("train", tmp_path / "photos.npz", "--recipe", "autoencoder", "--set", "network.codebook=8") == 2

"""Autoencoders made on the spot, with random weights, and the statistics of the latents of random images."""

from pathlib import Path
from typing import Any

import torch

from ddpm.config.autoencoder import AutoencoderConfig, AutoencoderSettings
from ddpm.config.data import DataConfig
from ddpm.config.training import TrainSettings
from ddpm.core.model import Model
from ddpm.networks import Autoencoder
from ddpm.records.codec import StoredCodec
from ddpm.records.latents import LatentsRecord
from ddpm.records.run_folder import weights_hash


def network(mode: str = "L", factor: int = 2, channels: int = 3, seed: int = 0, norm: Any = "layer") -> Autoencoder:
    """One of two levels whose weights are random also where a fresh one begins at zero."""
    settings = AutoencoderSettings(
        image_channels=len(mode),
        channels=channels,
        width=8,
        multipliers=(1, 1),
        blocks=1,
        attention=False,
        patch=factor // 2,
        norm=norm,
        norm_groups=4,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = Autoencoder(settings)
        with torch.no_grad():
            for p in net.parameters():
                p += 0.05 * torch.randn_like(p)
    return net.eval().requires_grad_(False)


def stored(folder: Path, mode: Any = "L", side: int = 8, **shape: Any) -> StoredCodec:
    """The same in a folder like that of a finished run."""
    net = network(mode, **shape)
    weights = dict(Model(net).state_dict())
    config = AutoencoderConfig(
        request={},
        data=DataConfig(source="digits", fingerprint="", images=100, held_out=0, size=(side, side), mode=mode),
        network=net.settings,
        training=TrainSettings(images=1, label_dropout=0.0),
    )
    mean, logvar = net.moments(torch.rand(64, len(mode), side, side) * 2 - 1)
    record = LatentsRecord(
        mean=mean.mean((0, 2, 3)).tolist(),
        spread=mean.std((0, 2, 3)).tolist(),
        posterior=(0.5 * logvar).exp().mean((0, 2, 3)).tolist(),
        weights=weights_hash(weights),
    )
    made = StoredCodec(folder, config, weights, record, record.weights)
    made.write(folder)
    return StoredCodec.read(folder)

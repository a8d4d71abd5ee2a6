"""Open the codec of a run."""

from functools import partial
from pathlib import Path
from typing import cast

import torch

from ddpm import build
from ddpm.codec import Codec, TrainedAutoencoder
from ddpm.config.autoencoder import AutoencoderConfig
from ddpm.config.codec import AutoencoderCodecConfig
from ddpm.config.run import RunConfig
from ddpm.core.model import Model
from ddpm.objectives.autoencoding import VariationalAutoencoder
from ddpm.records.codec import StoredCodec
from ddpm.records.run_folder import RunFolder, Weights
from ddpm.training.checkpoint import check_fit, load_into


def open_codec(run: RunFolder, config: RunConfig, device: torch.device) -> Codec:
    """Build the codec of a run, from the copy in its folder if it has weights.

    Raises:
        InputError: the copy is missing or damaged, or is not the autoencoder of the run.
    """

    def trained() -> TrainedAutoencoder:
        stored = StoredCodec.read(run.codec)
        assert isinstance(config.codec, AutoencoderCodecConfig)
        stored.check(config.codec, run.path)
        return loaded(stored, device)

    return build.build_codec(config, trained)


def codec_of(stored: StoredCodec | None, config: RunConfig, device: torch.device) -> Codec:
    """Build the codec of a new run, from the requested autoencoder."""
    return build.build_codec(config, None if stored is None else partial(loaded, stored, device))


def loaded(stored: StoredCodec, device: torch.device) -> TrainedAutoencoder:
    """Load an autoencoder with the statistics of its latents."""
    model = load_autoencoder(stored.config, stored.weights, stored.source, device)
    mean, spread = (torch.tensor(values, device=device) for values in (stored.latents.mean, stored.latents.spread))
    return TrainedAutoencoder(cast(VariationalAutoencoder, model.net), mean, spread)


def load_autoencoder(config: AutoencoderConfig, weights: Weights, source: Path, device: torch.device) -> Model:
    """Load an autoencoder, frozen, without the discriminator that it may have been trained against.

    Raises:
        InputError: the weights, from this folder, belong to another model.
    """
    alone = config.objective.model_copy(update={"adversarial": None})
    with torch.random.fork_rng(devices=[]):  # initialising weights would advance torch's generator
        model = build.build_autoencoder_model(
            config.model_copy(update={"objective": alone}),
            lambda empty: check_fit(empty.state_dict(), weights, str(source)),
        )
    load_into(model.state_dict(), weights, str(source))
    model.to(device, memory_format=model.layout)  # type: ignore[call-overload]
    return model.eval().requires_grad_(False)

"""Open the codec of a run."""

from functools import partial
from typing import cast

import torch

from ddpm import build
from ddpm.codec import Codec, TrainedAutoencoder
from ddpm.codec.autoencoder import Net
from ddpm.config.codec import AutoencoderCodecConfig
from ddpm.config.run import RunConfig
from ddpm.records.codec import StoredCodec
from ddpm.records.run_folder import RunFolder
from ddpm.training.checkpoint import load_into


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
    """Load an autoencoder, frozen, without the discriminator that it may have been trained against."""
    alone = stored.config.objective.model_copy(update={"adversarial": None})
    with torch.random.fork_rng(devices=[]):  # initialising weights would advance torch's generator
        model = build.build_autoencoder_model(stored.config.model_copy(update={"objective": alone}))
    load_into(model.state_dict(), stored.weights, str(stored.source))
    model.to(device, memory_format=model.layout)  # type: ignore[call-overload]
    model.eval().requires_grad_(False)
    mean, spread = (torch.tensor(values, device=device) for values in (stored.latents.mean, stored.latents.spread))
    return TrainedAutoencoder(cast(Net, model.net), mean, spread)

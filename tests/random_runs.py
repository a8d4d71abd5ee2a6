"""Run folders with random weights, of any settings."""

from pathlib import Path
from typing import Any

import torch

from ddpm import build
from ddpm.config.data import DataConfig
from ddpm.config.run import IMPORTED, RunConfig
from ddpm.config.sampling import SamplingConfig
from ddpm.config.training import TrainSettings
from ddpm.engine.loading import load
from ddpm.engine.run import LoadedRun
from ddpm.exchange.imported import Imported
from ddpm.records.codec import StoredCodec


def random_run(
    folder: Path,
    network: dict[str, Any],
    *,
    mode: Any = "RGB",
    side: int = 8,
    classes: tuple[str, ...] = (),
    diffusion: dict[str, Any] | None = None,
    sampling: dict[str, Any] | None = None,
    codec: StoredCodec | None = None,
    text: Any = None,
    dropout: float = 0.0,
) -> LoadedRun:
    """Write a run whose weights are random also where fresh ones are zero, and load it.

    The channels of the network follow from the images.

    Args:
        dropout: the proportion of labels lost in training; 0 if the null label was never trained.
    """
    channels = len(mode) if codec is None else codec.settings.latent_channels
    how = {"schedule": "linear", "prediction": "eps", **(diffusion or {})}
    more = 2 if how.get("variance") == "learned" else 1
    config = RunConfig(
        recipe=IMPORTED,
        request={},
        data=DataConfig(source="", fingerprint="", images=0, held_out=0, size=(side, side), mode=mode, classes=classes),
        diffusion=how,
        objective={"loss": "hybrid"} if more == 2 else {},
        network={**network, "in_channels": channels, "out_channels": more * channels},
        training=TrainSettings(images=0, label_dropout=dropout),
        sampling=SamplingConfig.of(**{"solver": "ddim", "steps": 5, "clip": codec is None, **(sampling or {})}),
        text=text,
        **({} if codec is None else {"codec": codec.settings}),
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build.build_model(config)
        with torch.no_grad():
            for p in model.parameters():
                p += 0.1 * torch.randn_like(p)
    Imported(config, dict(model.state_dict()), (), codec=codec).write(folder)
    return load(folder, "cpu")

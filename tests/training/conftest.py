from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from ddpm.codec import PixelCodec
from ddpm.conditioning.label import LabelEmbedding
from ddpm.config.network import UNetSettings
from ddpm.config.training import TrainSettings
from ddpm.core import Parameterisation, discrete, prediction
from ddpm.core.model import Model
from ddpm.data.dataset import Dataset
from ddpm.engine import Diffusion
from ddpm.engine.preview import preview
from ddpm.networks import UNet
from ddpm.objectives import SimpleLoss
from ddpm.objectives.denoising import Denoising
from ddpm.objectives.level_sampling import Uniform
from ddpm.objectives.noised import NoiseLevels
from ddpm.training.job import Job
from ddpm.training.trainer import Trainer

NET = UNetSettings(in_channels=3, out_channels=3, width=8, multipliers=(1,), blocks=1, attention=(), cond_width=8)
SETTINGS = TrainSettings(
    images=96,
    batch=8,
    micro_batch=8,
    learning_rate=1e-2,
    warmup=8,
    checkpoint_every=32,
    previews=1,
    log_every=16,
    averages=2,
)


ASK = Parameterisation(prediction.v)


@pytest.fixture(scope="session")
def objective() -> Denoising:
    return Denoising(NoiseLevels(discrete.cosine(6), Uniform()), SimpleLoss(ASK), PixelCodec().sample)


def dropping(objective: Denoising, share: float) -> Denoising:
    """The same objective with this share of the conditions dropped."""
    return replace(objective, noise=replace(objective.noise, dropout=share))


@pytest.fixture(scope="session")
def make_model() -> Callable[[], Model]:
    """The same small model at every call; its output is not zero, so that every weight has a gradient."""

    def make() -> Model:
        torch.manual_seed(0)
        model = Model(UNet(NET), {"label": LabelEmbedding(2, 8)})
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.05 * torch.randn_like(p))
        return model

    return make


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    """24 random images of 8 × 8 in two classes."""
    rng = np.random.default_rng(0)
    return Dataset(
        rng.integers(0, 256, (24, 8, 8, 3), np.uint8),
        labels=np.arange(24) % 2,
        classes=("cat", "dog"),
        names=tuple(f"{i}.png" for i in range(24)),
    )


@pytest.fixture
def settings() -> TrainSettings:
    return SETTINGS


@pytest.fixture
def make_trainer(
    make_model: Callable[[], Model], objective: Denoising, accelerator: Accelerator
) -> Callable[..., Trainer]:
    """A trainer of the small model, with some settings changed."""

    def make(**changes: Any) -> Trainer:
        settings = replace(SETTINGS, **changes)
        return Trainer(make_model(), dropping(objective, settings.label_dropout), settings, accelerator)

    return make


@pytest.fixture(scope="session")
def job_in(make_model: Callable[[], Model], objective: Denoising, dataset: Dataset) -> Callable[..., Job]:
    """A job of 12 steps on the small data set in a folder, with some settings changed."""

    def make(folder: Path, **changes: Any) -> Job:
        kept, held = dataset.subset(np.arange(20)), dataset.subset(np.arange(20, 24))
        settings, model = replace(SETTINGS, **changes), make_model()
        engine = Diffusion(model, objective.noise.schedule, ASK, PixelCodec(), (3, 8, 8), "small")
        own, shown = dropping(objective, settings.label_dropout), preview(engine, settings.seed, kept, held)
        return Job(model, own, settings, kept, held, folder, shown)

    return make


@pytest.fixture
def make_job(job_in: Callable[..., Job], tmp_path: Path) -> Callable[..., Job]:
    """The same in a folder of this name."""

    def make(folder: str = "run", **changes: Any) -> Job:
        return job_in(tmp_path / folder, **changes)

    return make

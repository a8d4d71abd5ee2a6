"""A trainer whose images are conditioned on their small versions and their labels."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from ddpm.codec import PixelCodec
from ddpm.conditioning import BoxMeans, LabelEmbedding, LowResolution
from ddpm.config.network import UNetSettings
from ddpm.config.training import TrainSettings
from ddpm.core import Cond, Parameterisation, prediction
from ddpm.core.condition import Conditions
from ddpm.core.model import Model
from ddpm.core.stream import RowStreams
from ddpm.data.dataset import Dataset
from ddpm.data.loader import batch_of
from ddpm.engine import Diffusion
from ddpm.engine.preview import preview
from ddpm.images.sheets import sheet
from ddpm.networks import UNet
from ddpm.networks.embeddings import TimeEmbedding
from ddpm.objectives.denoising import Denoising
from ddpm.training.heldout import HeldOut
from ddpm.training.preview import Preview, page
from ddpm.training.trainer import Trainer

CODEC = PixelCodec()
NET = UNetSettings(in_channels=6, out_channels=3, width=8, multipliers=(1,), blocks=1, attention=(), cond_width=8)
Make = Callable[..., Trainer]


@pytest.fixture
def dataset(dataset: Dataset) -> Dataset:
    """Images, and small ones that are made of them."""
    return replace(dataset, derived={"low_resolution": BoxMeans(CODEC, 2)})


@pytest.fixture
def make_model() -> Callable[[], Model]:
    def make() -> Model:
        torch.manual_seed(0)
        low = LowResolution(TimeEmbedding(8, 8), CODEC, scale=2, s_max=0.5)
        model = Model(UNet(NET), {"label": LabelEmbedding(2, 8), "low_resolution": low})
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.05 * torch.randn_like(p))
        return model

    return make


@pytest.fixture
def make_trainer(
    make_model: Callable[[], Model], objective: Denoising, settings: TrainSettings, accelerator: Accelerator
) -> Make:
    def make(**changes: Any) -> Trainer:
        return Trainer(make_model(), objective, replace(settings, **changes), accelerator)

    return make


def batch(data: Dataset, first: int = 0) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    found = batch_of(data, np.arange(first, first + 8))
    return found.images, found.conditions


def given(data: Dataset, low: np.ndarray) -> Dataset:
    """The same images with small ones of their own."""
    return replace(data, derived={}, partners={"low_resolution": Dataset(low)})


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: p.clone() for name, p in trainer.state(0).tensors["model"].items()}


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_step_sees_the_noise_of_its_number(
    make_trainer: Make, dataset: Dataset, settings: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []
    cond = Model.cond

    def spy(self: Model, raw: Conditions, n: int) -> Cond | None:
        seen.append(raw["low_resolution"])
        return cond(self, raw, n)

    monkeypatch.setattr(Model, "cond", spy)
    images, conditions = batch(dataset)
    trainer = make_trainer(micro_batch=3)
    trainer.step(3, images, conditions)
    whole = trainer.model.augment(conditions, RowStreams(settings.seed, 3, 8, range(8)))["low_resolution"]
    assert [len(part) for part in seen] == [3, 3, 2]
    torch.testing.assert_close(torch.cat(seen), whole)
    other = trainer.model.augment(conditions, RowStreams(settings.seed, 4, 8, range(8)))["low_resolution"]
    assert not (whole[:, -1] == other[:, -1]).any()


def test_goes_on_bit_for_bit(make_trainer: Make, dataset: Dataset) -> None:
    whole, first, second = make_trainer(), make_trainer(), make_trainer()
    for i in range(4):
        whole.step(i, *batch(dataset, i))
    for i in range(2):
        first.step(i, *batch(dataset, i))
    second.restore(first.state(2))
    for i in range(2, 4):
        second.step(i, *batch(dataset, i))
    assert equal(weights(whole), weights(second))
    assert not equal(weights(whole), weights(first))


def test_given_small_images_take_the_place_of_made_ones(make_trainer: Make, dataset: Dataset) -> None:
    made, same, other = make_trainer(), make_trainer(), make_trainer()
    low = BoxMeans(CODEC, 2)(dataset.images)
    made.step(0, *batch(dataset))
    same.step(0, *batch(given(dataset, low)))
    other.step(0, *batch(given(dataset, 255 - low)))
    assert equal(weights(made), weights(same))
    assert not equal(weights(made), weights(other))


def test_every_part_of_the_model_learns(make_trainer: Make, dataset: Dataset) -> None:
    trainer = make_trainer()
    before = weights(trainer)
    for i in range(4):
        trainer.step(i, *batch(dataset, i))
    still = [name for name, w in weights(trainer).items() if torch.equal(w, before[name])]
    assert still == []


def test_held_out_loss_is_that_of_the_small_images_without_noise(
    objective: Denoising, make_model: Callable[[], Model], dataset: Dataset
) -> None:
    model, device = make_model(), torch.device("cpu")
    losses = HeldOut(dataset, objective, 0).losses(model, device)
    assert losses == HeldOut(dataset, objective, 0).losses(model, device)
    low = BoxMeans(CODEC, 2)(dataset.images)
    assert HeldOut(given(dataset, low), objective, 0).losses(model, device) == losses
    assert HeldOut(given(dataset, np.zeros_like(low)), objective, 0).losses(model, device) != losses
    own = model.conditioners["low_resolution"]
    assert isinstance(own, LowResolution)
    own.s_max = 0.9  # of the noise of training
    assert HeldOut(dataset, objective, 0).losses(model, device) == losses


def look(objective: Denoising, model: Model, data: Dataset, held_out: Dataset) -> Preview:
    engine = Diffusion(model, objective.noise.schedule, Parameterisation(prediction.v), CODEC, (3, 8, 8), "small")
    return preview(engine, 0, data, held_out)


def test_previews_are_of_held_out_images(
    objective: Denoising, make_model: Callable[[], Model], dataset: Dataset
) -> None:
    """And of those trained on where none are held out."""
    model, data = make_model(), dataset.subset(np.arange(9, 24))
    first, second, none = (dataset.subset(np.arange(*part)) for part in ((5,), (4, 9), (0,)))
    shown = look(objective, model, data, first)
    images = shown.images(model)
    assert images.shape == (5, 8, 8, 3)
    enlarged, original = shown.sides
    assert np.array_equal(original, first.images)
    low = torch.from_numpy(BoxMeans(CODEC, 2)(first.images))
    own = model.conditioners["low_resolution"]
    assert isinstance(own, LowResolution)
    assert np.array_equal(enlarged, CODEC.decode(own.enlarged(low)).numpy())
    assert not np.array_equal(images, look(objective, model, data, second).images(model))
    assert np.array_equal(look(objective, model, data, none).sides[1], data.images)


def test_the_page_shows_what_the_images_were_made_of(
    objective: Denoising, make_model: Callable[[], Model], dataset: Dataset
) -> None:
    """The small ones enlarged at the left, the originals at the right, and 12 pixels between."""
    model, held_out = make_model(), dataset.subset(np.arange(4))
    shown = look(objective, model, dataset, held_out)
    images = shown.images(model)
    enlarged, original = shown.sides
    parts = [np.asarray(sheet(part)) for part in (enlarged, images, images, original)]
    height, width, _ = parts[0].shape
    whole = np.asarray(page(images, images, shown.sides))
    assert whole.shape == (height, 4 * width + 3 * 12, 3)
    for k, part in enumerate(parts):
        left = k * (width + 12)
        assert np.array_equal(whole[:, left : left + width], part)

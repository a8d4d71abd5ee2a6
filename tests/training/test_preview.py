from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from cases import cases
from ddpm.codec import PixelCodec
from ddpm.core import Parameterisation, discrete, prediction
from ddpm.core.model import Model
from ddpm.data.arrays import open_digits
from ddpm.data.dataset import Dataset
from ddpm.engine import Diffusion
from ddpm.engine import preview as previewing
from ddpm.engine.preview import preview
from ddpm.networks import UNet
from ddpm.objectives.denoising import Denoising
from ddpm.training.preview import Colour, Preview, colour, drift, page

Look = Callable[..., Preview]


@pytest.fixture
def look(make_model: Callable[[], Model], objective: Denoising, dataset: Dataset) -> Look:
    """The previews of a run on these images with this seed."""

    def make(data: Dataset = dataset, seed: int = 0, objective: Denoising = objective) -> Preview:
        ask, shape = Parameterisation(prediction.v), (data.shape[2], *data.shape[:2])
        engine = Diffusion(make_model(), objective.noise.schedule, ask, PixelCodec(), shape, "small")
        return preview(engine, seed, data, data.subset(np.arange(0)))

    return make


@pytest.fixture(scope="module")
def digits() -> Dataset:
    source = open_digits()
    images = np.stack([np.asarray(source.read(item.name)) for item in source.items])[..., None]
    return Dataset(images, np.array([int(item.label or 0) for item in source.items]), source.classes)


def test_the_same_pictures_at_every_look(look: Look, make_model: Callable[[], Model]) -> None:
    first = look().images(make_model())
    assert first.shape == (16, 8, 8, 3)
    assert first.dtype == np.uint8
    torch.manual_seed(7)
    assert np.array_equal(look().images(make_model()), first)
    assert not np.array_equal(look(seed=1).images(make_model()), first)


def test_training_does_not_notice(look: Look, make_model: Callable[[], Model]) -> None:
    model, shown = make_model(), look()
    model.train()
    before = torch.get_rng_state()
    shown.images(model)
    assert torch.equal(before, torch.get_rng_state())
    assert all(module.training for module in model.modules())


def test_classes_are_taken_in_turn(look: Look, make_model: Callable[[], Model]) -> None:
    model, shown = make_model(), look()
    first = shown.images(model)
    with torch.no_grad():
        model.conditioners["label"].table.weight[1] += 3.0  # type: ignore[union-attr, index, operator]
    second = shown.images(model)
    changed = [not np.array_equal(a, b) for a, b in zip(first, second, strict=True)]
    assert changed == [False, True] * 8


@pytest.mark.parametrize("T", [3, 40])
def test_no_more_steps_than_levels(
    T: int, look: Look, objective: Denoising, make_model: Callable[[], Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixteen, or as many as there are."""
    asked: list[float] = []
    call = UNet.forward
    monkeypatch.setattr(previewing, "STEPS", 16)
    monkeypatch.setattr(UNet, "forward", lambda self, x, t, cond=None: (asked.append(t), call(self, x, t, cond))[1])
    few = replace(objective, noise=replace(objective.noise, schedule=discrete.cosine(T)))
    look(objective=few).images(make_model())
    assert len(asked) == min(T, 16)


def test_page_shows_the_raw_weights_to_the_left() -> None:
    raw, averaged = np.full((4, 2, 2, 3), 10, np.uint8), np.full((4, 2, 2, 3), 20, np.uint8)
    alone, both = page(None, averaged), page(raw, averaged)
    assert both.width == 2 * alone.width + 12
    assert both.getpixel((0, 0)) == (10, 10, 10)
    assert both.getpixel((both.width - 1, 0)) == (20, 20, 20)
    assert alone.getpixel((0, 0)) == (20, 20, 20)


def test_colour_of_known_images() -> None:
    images = np.zeros((2, 1, 2, 2), np.uint8)
    images[0, ..., 0], images[1, ..., 0] = 255, 0  # two plain images
    images[:, 0, 0, 1], images[:, 0, 1, 1] = 255, 0  # two equal images of two colours
    assert colour(images) == Colour([0.0, 0.0], [1.0, 1.0], [1.0, 0.0])


def test_images_of_the_data_itself_do_not_drift(digits: Dataset, look: Look) -> None:
    """200 pages of 16 images: with four standard deviations and more allowed, not one may warn."""
    expected = look(digits).expected
    rng = np.random.default_rng(0)
    pages = [digits.read(rng.choice(len(digits), 16, replace=False)) for _ in range(200)]
    assert [drift(colour(images), expected, 16) for images in pages] == [None] * 200


@cases("shift", [-60, -25, 25, 60])
def test_a_planted_drift_warns(shift: int, digits: Dataset, look: Look) -> None:
    expected = look(digits).expected
    images = digits.read(np.arange(16)).astype(np.int64) + shift
    low, high = (0, 255) if abs(shift) > 25 else (-255, 510)
    seen = np.clip(images, low, high)
    values = Colour([float(seen.mean()) / 127.5 - 1], [0.0], [0.0])
    warning = drift(values, expected, 16)
    assert warning is not None
    assert "channel 0" in warning
    assert f"{values.mean[0]:+.2f}" in warning


def test_one_channel_is_enough() -> None:
    data = Colour([0.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.2, 0.2, 0.2])
    seen = Colour([0.0, 0.0, 0.3], [0.5, 0.5, 0.5], [0.2, 0.2, 0.2])
    assert drift(seen, data, 16) == "colour drift: channel 2 has mean +0.30 in the previews but +0.00 in the data"
    assert drift(seen, data, 4) is None  # so few may be so by chance


def test_rare_classes_are_no_drift(look: Look) -> None:
    """Previews show the classes in turn: 8 of 16 are of a class that 1 of 100 images has."""
    pixels = np.concatenate([np.full((99, 2, 2, 1), 20, np.uint8), np.full((1, 2, 2, 1), 230, np.uint8)])
    data = Dataset(pixels, np.array([0] * 99 + [1]), ("dark", "bright"))
    seen = colour(pixels[[0, 99] * 8])
    assert drift(seen, look(data).expected, 16) is None
    assert drift(seen, look(replace(data, labels=None, classes=())).expected, 16) is not None


def test_expected_reads_no_more_than_it_needs(digits: Dataset, look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 1797 digits about 1024, of each class as many; of fewer images all. Another 16 for their conditions."""
    read: list[int] = []
    whole = Dataset.take
    monkeypatch.setattr(Dataset, "take", lambda self, indices: (read.append(len(indices)), whole(self, indices))[1])
    found = look(digits).expected
    assert read == [1030, 16]
    assert found.mean == pytest.approx(colour(digits.images).mean, abs=0.03)
    few = replace(digits.subset(np.arange(700)), labels=None, classes=())
    assert look(few).expected == colour(few.images)

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from ddpm.core.model import Model
from ddpm.data.dataset import Dataset
from ddpm.data.digits import open_digits
from ddpm.training.preview import Colour, Preview, colour, drift, page
from ddpm.training.trainer import Problem

CPU = torch.device("cpu")


@pytest.fixture
def preview(problem: Problem) -> Preview:
    return Preview(problem, (3, 8, 8), classes=2, seed=0, n=4, steps=3)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    source = open_digits()
    images = np.stack([np.asarray(source.reader.read(item.name)) for item in source.items])[..., None]
    return Dataset(images, np.array([int(item.label or 0) for item in source.items]), source.classes)


def test_the_same_pictures_at_every_look(preview: Preview, make_model: Callable[[], Model]) -> None:
    first = preview.images(make_model(), CPU)
    assert first.shape == (4, 8, 8, 3)
    assert first.dtype == np.uint8
    torch.manual_seed(7)
    assert np.array_equal(preview.images(make_model(), CPU), first)
    assert not np.array_equal(replace(preview, seed=1).images(make_model(), CPU), first)


def test_training_does_not_notice(preview: Preview, make_model: Callable[[], Model]) -> None:
    model = make_model()
    model.train()
    before = torch.get_rng_state()
    preview.images(model, CPU)
    assert torch.equal(before, torch.get_rng_state())
    assert all(module.training for module in model.modules())


def test_classes_are_taken_in_turn(preview: Preview, make_model: Callable[[], Model]) -> None:
    model = make_model()
    assert model.conditioner is not None
    first = preview.images(model, CPU)
    with torch.no_grad():
        model.conditioner.table.weight[1] += 3.0  # type: ignore[union-attr, index]
    second = preview.images(model, CPU)
    changed = [not np.array_equal(a, b) for a, b in zip(first, second, strict=True)]
    assert changed == [False, True, False, True]


def test_no_more_steps_than_levels(preview: Preview, make_model: Callable[[], Model]) -> None:
    assert replace(preview, steps=1000).images(make_model(), CPU).shape == (4, 8, 8, 3)


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


def test_images_of_the_data_itself_do_not_drift(digits: Dataset, problem: Problem) -> None:
    """200 pages of 16 images: with four standard deviations and more allowed, not one may warn."""
    preview = Preview(problem, (1, 8, 8), classes=0, seed=0)
    expected = preview.expected(digits)
    rng = np.random.default_rng(0)
    pages = [digits.read(rng.choice(len(digits), 16, replace=False)) for _ in range(200)]
    assert [drift(colour(images), expected, 16) for images in pages] == [None] * 200


@pytest.mark.parametrize("shift", [-60, -25, 25, 60])
def test_a_planted_drift_warns(shift: int, digits: Dataset, problem: Problem) -> None:
    expected = Preview(problem, (1, 8, 8), classes=0, seed=0).expected(digits)
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
    assert drift(seen, data, 16) == "colour drifts: channel 2 of the previews has mean +0.30, the data +0.00"
    assert drift(seen, data, 4) is None  # so few may be so by chance


def test_rare_classes_are_no_drift(problem: Problem) -> None:
    """Previews show the classes in turn: 8 of 16 are of a class that 1 of 100 images has."""
    pixels = np.concatenate([np.full((99, 2, 2, 1), 20, np.uint8), np.full((1, 2, 2, 1), 230, np.uint8)])
    data = Dataset(pixels, np.array([0] * 99 + [1]), ("dark", "bright"))
    seen = colour(pixels[[0, 99] * 8])
    assert drift(seen, Preview(problem, (1, 2, 2), 2, 0).expected(data), 16) is None
    assert drift(seen, Preview(problem, (1, 2, 2), 0, 0).expected(data), 16) is not None


def test_expected_reads_no_more_than_it_needs(digits: Dataset, problem: Problem) -> None:
    exact = colour(digits.images)
    few = Preview(problem, (1, 8, 8), 10, 0).expected(digits, limit=200)
    assert few.mean == pytest.approx(exact.mean, abs=0.03)
    all_of_them = Preview(problem, (1, 8, 8), 0, 0).expected(digits, limit=10_000)
    assert all_of_them.mean == pytest.approx(exact.mean, abs=1e-12)

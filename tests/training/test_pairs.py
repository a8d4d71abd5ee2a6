"""A learner whose images are conditioned on their small versions."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from ddpm.training.randomness import augmentation

from ddpm.conditioning import ImageCondition, LabelEmbedding, Pairs
from ddpm.config.network import UNetSettings
from ddpm.config.training import TrainSettings
from ddpm.constraints import AveragePool
from ddpm.core.model import Model
from ddpm.data.dataset import Dataset
from ddpm.networks import UNet
from ddpm.networks.embeddings import TimeEmbedding
from ddpm.training.heldout import HeldOut
from ddpm.training.preview import Preview, page
from ddpm.training.trainer import Learner, Problem

NET = UNetSettings(in_channels=6, out_channels=3, width=8, multipliers=(1,), blocks=1, attention=(), cond_width=8)
Make = Callable[..., Learner]


@pytest.fixture
def pairs_problem(problem: Problem) -> Problem:
    return replace(problem, pairs=Pairs(2, 0.5))


@pytest.fixture
def make_pairs_model() -> Callable[[], Model]:
    def make() -> Model:
        torch.manual_seed(0)
        model = Model(UNet(NET), LabelEmbedding(2, 8), ImageCondition(TimeEmbedding(8, 8)))
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.05 * torch.randn_like(p))
        return model

    return make


@pytest.fixture
def make_pairs_learner(
    make_pairs_model: Callable[[], Model], pairs_problem: Problem, settings: TrainSettings, accelerator: Accelerator
) -> Make:
    def make(**changes: Any) -> Learner:
        return Learner(make_pairs_model(), pairs_problem, replace(settings, **changes), accelerator)

    return make


def batch(data: Dataset, first: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    assert data.labels is not None
    return torch.from_numpy(data.images[first : first + 8]), torch.from_numpy(data.labels[first : first + 8])


def weights(learner: Learner) -> dict[str, torch.Tensor]:
    return {name: p.clone() for name, p in learner.state(0).tensors["model"].items()}


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_small_images_are_made_in_eight_bits(pairs_problem: Problem, dataset: Dataset) -> None:
    """The pixels of a PNG of the means, and then the same for both ways."""
    images = torch.from_numpy(dataset.images[:8])
    x0 = pairs_problem.codec.encode(images)
    # (B, 4, 2, 4, 2, C): the mean of each box, rounded
    low = images.double().reshape(8, 4, 2, 4, 2, 3).mean((2, 4))
    tie = (low % 1 - 0.5).abs() < 1e-6
    made = pairs_problem.enlarged(x0)
    given = pairs_problem.enlarged(x0, torch.where(tie, low, low.round()).to(torch.uint8))
    assert made is not None
    assert given is not None
    assert made.shape == x0.shape
    torch.testing.assert_close(made, given, rtol=0, atol=2 * 1.3 / 255)  # where a half may be rounded either way
    untied = ~tie.flatten(1).any(1)
    assert torch.equal(made[untied], given[untied])


def test_a_step_is_told_the_noise_of_its_number(
    make_pairs_learner: Make, pairs_problem: Problem, dataset: Dataset, settings: TrainSettings, monkeypatch: Any
) -> None:
    seen = []
    cond = Model.cond
    monkeypatch.setattr(Model, "cond", lambda self, labels, low=None: (seen.append(low), cond(self, labels, low))[1])
    images, labels = batch(dataset)
    make_pairs_learner(micro_batch=4).step(3, images, labels)
    share, eps = augmentation(settings, 3, slice(None), (3, 8, 8))
    enlarged = pairs_problem.enlarged(pairs_problem.codec.encode(images))
    assert enlarged is not None
    assert pairs_problem.pairs is not None
    whole = pairs_problem.pairs.noised(enlarged, 0.5 * share, eps)
    assert float(share.min()) >= 0
    assert float(share.max()) < 1
    for k, low in enumerate(seen):
        assert torch.equal(low.s, whole.s[4 * k : 4 * k + 4])
        torch.testing.assert_close(low.image, whole.image[4 * k : 4 * k + 4])
    other, _ = augmentation(settings, 4, slice(None), (3, 8, 8))
    assert not torch.equal(share, other)


def test_processes_draw_the_noise_of_one(make_pairs_learner: Make) -> None:
    learner, image = make_pairs_learner(), torch.randn(8, 3, 8, 8)
    whole = learner._augmented(3, image, slice(0, 8))
    assert whole is not None
    for own in (slice(0, 3), slice(3, 8)):
        part = learner._augmented(3, image[own], own)
        assert part is not None
        assert torch.equal(part.image, whole.image[own])
        assert torch.equal(part.s, whole.s[own])


def test_goes_on_bit_for_bit(make_pairs_learner: Make, dataset: Dataset) -> None:
    whole, first, second = make_pairs_learner(), make_pairs_learner(), make_pairs_learner()
    for i in range(4):
        whole.step(i, *batch(dataset, i))
    for i in range(2):
        first.step(i, *batch(dataset, i))
    second.restore(first.state(2))
    for i in range(2, 4):
        second.step(i, *batch(dataset, i))
    assert equal(weights(whole), weights(second))
    assert not equal(weights(whole), weights(first))


def test_given_small_images_take_the_place_of_made_ones(make_pairs_learner: Make, dataset: Dataset) -> None:
    made, same, other = make_pairs_learner(), make_pairs_learner(), make_pairs_learner()
    images, labels = batch(dataset)
    low = made.problem.codec.decode(AveragePool(2).forward(made.problem.codec.encode(images)))
    made.step(0, images, labels)
    same.step(0, images, labels, low)
    other.step(0, images, labels, 255 - low)
    assert equal(weights(made), weights(same))
    assert not equal(weights(made), weights(other))


def test_held_out_loss_is_that_of_the_small_images_without_noise(
    pairs_problem: Problem, make_pairs_model: Callable[[], Model], dataset: Dataset
) -> None:
    model, device = make_pairs_model(), torch.device("cpu")
    losses = HeldOut(dataset, pairs_problem, 0).losses(model, device)
    assert losses == HeldOut(dataset, pairs_problem, 0).losses(model, device)
    small = pairs_problem.codec.decode(
        AveragePool(2).forward(pairs_problem.codec.encode(torch.from_numpy(dataset.images)))
    )
    given = replace(dataset, low=Dataset(small.numpy()))
    assert HeldOut(given, pairs_problem, 0).losses(model, device) == losses
    dark = replace(dataset, low=Dataset(np.zeros_like(small.numpy())))
    assert HeldOut(dark, pairs_problem, 0).losses(model, device) != losses


def test_previews_are_of_given_images(
    pairs_problem: Problem, make_pairs_model: Callable[[], Model], dataset: Dataset
) -> None:
    preview = Preview(pairs_problem, (3, 8, 8), 2, 0, steps=2, given=dataset.subset(np.arange(5)))
    images = preview.images(make_pairs_model(), torch.device("cpu"))
    assert images.shape == (5, 8, 8, 3)
    enlarged, original = preview.sides()
    assert np.array_equal(original, dataset.images[:5])
    assert enlarged.shape == original.shape
    others = Preview(pairs_problem, (3, 8, 8), 2, 0, steps=2, given=dataset.subset(np.arange(5, 10)))
    assert not np.array_equal(images, others.images(make_pairs_model(), torch.device("cpu")))


def test_the_page_shows_what_the_images_were_made_of(
    pairs_problem: Problem, make_pairs_model: Callable[[], Model], dataset: Dataset
) -> None:
    """The small ones enlarged at the left, the originals at the right, and 12 pixels between."""
    preview = Preview(pairs_problem, (3, 8, 8), 2, 0, steps=1, given=dataset.subset(np.arange(4)))
    images = preview.images(make_pairs_model(), torch.device("cpu"))
    shown = np.asarray(page(images, images, preview.sides()))
    assert shown.shape == (18, 4 * 18 + 3 * 12, 3)
    enlarged, original = preview.sides()
    for k, part in enumerate((enlarged, images, images, original)):
        assert np.array_equal(shown[:8, 30 * k : 30 * k + 8], part[0])

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.training.conftest import dropping
from torch import nn

from ddpm.codec import PixelCodec
from ddpm.core import Cond, Parameterisation, Prediction, discrete, prediction
from ddpm.core.model import Model
from ddpm.data.dataset import Dataset
from ddpm.objectives import SimpleLoss
from ddpm.objectives.denoising import Denoising
from ddpm.objectives.level_sampling import Uniform
from ddpm.objectives.noised import NoiseLevels
from ddpm.training.heldout import HeldOut

CPU = torch.device("cpu")


class Nothing(nn.Module):
    def forward(self, x: torch.Tensor, t: torch.Tensor, cond: Cond | None = None) -> torch.Tensor:
        return torch.zeros_like(x)


def predicting(predict: Prediction) -> Denoising:
    """The simple loss on 1000 levels."""
    noise = NoiseLevels(discrete.cosine(1000), Uniform(), dropout=1.0)
    return Denoising(noise, SimpleLoss(Parameterisation(predict)), PixelCodec().sample)


def test_the_same_numbers_for_the_same_weights(
    make_model: Callable[[], Model], objective: Denoising, dataset: Dataset
) -> None:
    held, model = HeldOut(dataset, objective, seed=0), make_model()
    torch.manual_seed(1)
    first = held.losses(model, CPU)
    torch.manual_seed(2)
    assert held.losses(make_model(), CPU) == first
    with torch.no_grad():
        next(iter(model.parameters())).add_(0.1)
    assert held.losses(model, CPU) != first
    assert HeldOut(dataset, objective, seed=1).losses(make_model(), CPU) != first


def test_a_few_images_at_a_time(make_model: Callable[[], Model], objective: Denoising, dataset: Dataset) -> None:
    model, seen = make_model(), list[int]()
    model.net.register_forward_pre_hook(lambda module, given: seen.append(len(given[0])))
    whole = HeldOut(dataset, objective, seed=0, limit=20).losses(model, CPU)
    assert max(seen) == 20
    seen.clear()
    assert HeldOut(dataset, objective, seed=0, limit=20, batch=8).losses(model, CPU) == pytest.approx(whole, rel=1e-5)
    assert max(seen) == 8


def test_training_does_not_notice(make_model: Callable[[], Model], objective: Denoising, dataset: Dataset) -> None:
    before, model = torch.get_rng_state(), make_model()
    torch.set_rng_state(before)
    model.train()
    HeldOut(dataset, objective, seed=0).losses(model, CPU)
    assert torch.equal(before, torch.get_rng_state())
    assert model.training
    assert all(p.grad is None for p in model.parameters())


def test_of_a_network_that_says_nothing_it_is_the_noise_itself(dataset: Dataset) -> None:
    objective = predicting(prediction.eps)
    losses = HeldOut(dataset, objective, seed=5, limit=10).losses(Model(Nothing()), CPU)
    assert list(losses) == [63, 188, 313, 438, 563, 688, 813, 938]
    for loss, (_, draws) in zip(losses.values(), objective.held_out(5, 10, 8), strict=True):
        eps = draws.streams.normal("noise", (3, 8, 8))
        assert loss == pytest.approx(float(eps.square().mean()), rel=1e-6)


def test_each_level_has_its_own_loss(dataset: Dataset) -> None:
    """x0 prediction of nothing: the loss is the mean square of the images at every level."""
    losses = HeldOut(dataset, predicting(prediction.x0), seed=0).losses(Model(Nothing()), CPU)
    expected = ((dataset.images / 127.5 - 1) ** 2).mean()
    assert list(losses.values()) == pytest.approx([expected] * 8, rel=1e-5)


def test_labels_are_seen_as_they_are(make_model: Callable[[], Model], objective: Denoising, dataset: Dataset) -> None:
    """Whatever share of them training drops."""
    model, all_dropped = make_model(), dropping(objective, 1.0)
    losses = HeldOut(dataset, all_dropped, seed=0).losses(model, CPU)
    assert losses == HeldOut(dataset, objective, seed=0).losses(model, CPU)
    assert dataset.labels is not None
    swapped = replace(dataset, labels=1 - dataset.labels)
    assert HeldOut(swapped, all_dropped, seed=0).losses(model, CPU) != losses


def test_nothing_held_out(make_model: Callable[[], Model], objective: Denoising, dataset: Dataset) -> None:
    assert HeldOut(dataset.subset(np.arange(0)), objective, seed=0).losses(make_model(), CPU) == {}

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from ddpm.codec import PixelCodec
from ddpm.core import Cond, Parameterisation, Stream, discrete, prediction
from ddpm.core.model import Model
from ddpm.data.dataset import Dataset
from ddpm.objectives import SimpleLoss
from ddpm.objectives.level_sampling import Uniform
from ddpm.training.heldout import HeldOut
from ddpm.training.trainer import Problem

CPU = torch.device("cpu")


class Nothing(nn.Module):
    def forward(self, x: torch.Tensor, t: torch.Tensor, cond: Cond | None = None) -> torch.Tensor:
        return torch.zeros_like(x)


def test_the_same_numbers_for_the_same_weights(
    make_model: Callable[[], Model], problem: Problem, dataset: Dataset
) -> None:
    held, model = HeldOut(dataset, problem, seed=0), make_model()
    torch.manual_seed(1)
    first = held.losses(model, CPU)
    torch.manual_seed(2)
    assert held.losses(make_model(), CPU) == first
    with torch.no_grad():
        next(iter(model.parameters())).add_(0.1)
    assert held.losses(model, CPU) != first
    assert HeldOut(dataset, problem, seed=1).losses(make_model(), CPU) != first


def test_training_does_not_notice(make_model: Callable[[], Model], problem: Problem, dataset: Dataset) -> None:
    before, model = torch.get_rng_state(), make_model()
    torch.set_rng_state(before)
    model.train()
    HeldOut(dataset, problem, seed=0).losses(model, CPU)
    assert torch.equal(before, torch.get_rng_state())
    assert model.training
    assert all(p.grad is None for p in model.parameters())


def test_of_a_network_that_says_nothing_it_is_the_noise_itself(dataset: Dataset) -> None:
    problem = Problem(discrete.cosine(1000), Uniform(), SimpleLoss(Parameterisation(prediction.eps)), PixelCodec())
    losses = HeldOut(dataset, problem, seed=5, limit=10).losses(Model(Nothing()), CPU)
    assert list(losses) == [63, 188, 313, 438, 563, 688, 813, 938]
    for k, loss in enumerate(losses.values()):
        eps = Stream(5, "held-out noise", k).normal(10, 3, 8, 8)
        assert loss == pytest.approx(float(eps.square().mean()), rel=1e-6)


def test_each_level_has_its_own_loss(dataset: Dataset) -> None:
    """x0 prediction of nothing: the loss is the mean square of the images at every level."""
    problem = Problem(discrete.cosine(1000), Uniform(), SimpleLoss(Parameterisation(prediction.x0)), PixelCodec())
    losses = HeldOut(dataset, problem, seed=0).losses(Model(Nothing()), CPU)
    expected = ((dataset.images / 127.5 - 1) ** 2).mean()
    assert list(losses.values()) == pytest.approx([expected] * 8, rel=1e-5)


@pytest.mark.parametrize("T", [1, 3, 8, 20])
def test_levels_are_those_of_the_schedule(T: int, dataset: Dataset) -> None:
    problem = Problem(discrete.cosine(T), Uniform(), SimpleLoss(Parameterisation(prediction.v)), PixelCodec())
    levels = list(HeldOut(dataset, problem, seed=0).losses(Model(Nothing()), CPU))
    assert len(levels) == min(T, 8)
    assert set(levels) <= set(range(1, T + 1))


def test_nothing_held_out(make_model: Callable[[], Model], problem: Problem, dataset: Dataset) -> None:
    assert HeldOut(dataset.subset(np.arange(0)), problem, seed=0).losses(make_model(), CPU) == {}

"""The simple loss of each image, by hand."""

import pytest
import torch

from cases import cases
from ddpm.core import Cond, NetworkDenoiser, Parameterisation, prediction
from ddpm.core.discrete import linear
from ddpm.core.gaussian import diffuse
from ddpm.objectives import SimpleLoss, weighting

SCHEDULE = linear()
INDICES = [1, 400, 1000]
TARGETS = {
    prediction.eps: lambda x0, eps, alpha, sigma: eps,
    prediction.x0: lambda x0, eps, alpha, sigma: x0,
    prediction.v: lambda x0, eps, alpha, sigma: alpha * eps - sigma * x0,
    prediction.flow: lambda x0, eps, alpha, sigma: eps - x0,
}


class Net:
    """Says x / 2 + t / 1000, in the given precision, and keeps what it was told."""

    def __init__(self, dtype=torch.float32):
        self.dtype = dtype

    def __call__(self, x, t, cond=None):
        self.told = (x, t, cond)
        return (x / 2 + t.reshape(-1, *[1] * (x.ndim - 1)) / 1000).to(self.dtype)


@cases("predict", TARGETS)
def test_each_image_by_hand(predict):
    for space in [(6,), (4, 3), (2, 3, 4)]:
        x0, eps = torch.rand(3, 2, *space) * 2 - 1, torch.randn(3, 2, *space)
        net, cond = Net(), Cond(torch.zeros(3, 1))
        losses = SimpleLoss(Parameterisation(predict))(net, x0, eps, SCHEDULE.levels(torch.tensor(INDICES)), cond=cond)
        assert losses.shape == (3,)
        assert losses.dtype == torch.float32
        assert net.told[1].tolist() == [0, 399, 999]
        assert net.told[1].dtype == torch.float32
        assert net.told[2] is cond
        for k, i in enumerate(INDICES):
            kept = float(SCHEDULE.alpha_bar[i])
            alpha, sigma = kept**0.5, (1 - kept) ** 0.5
            x = alpha * x0[k] + sigma * eps[k]
            torch.testing.assert_close(net.told[0][k], x, rtol=1e-6, atol=1e-6)
            error = x / 2 + (i - 1) / 1000 - TARGETS[predict](x0[k], eps[k], alpha, sigma)
            assert float(losses[k]) == pytest.approx(float((error.double() ** 2).sum()) / error.numel(), rel=1e-5)


def test_the_true_output_costs_nothing():
    x0, eps = torch.randn(3, 1, 4), torch.randn(3, 1, 4)
    level = SCHEDULE.levels(torch.tensor(INDICES))
    for predict, say in TARGETS.items():
        alpha, sigma = (c.float().reshape(3, 1, 1) for c in (level.alpha, level.sigma))
        output = say(x0, eps, alpha, sigma)
        assert (
            SimpleLoss(Parameterisation(predict))(lambda x, t, cond=None, output=output: output, x0, eps, level).max()
            < 1e-12
        )


def test_the_error_of_a_bfloat16_output_is_not_itself_rounded():
    x0, eps = torch.zeros(3, 1, 512), torch.randn(3, 1, 512)
    level = SCHEDULE.levels(torch.tensor(INDICES))
    low, high = (
        SimpleLoss(Parameterisation(prediction.eps))(Net(dtype), x0, eps, level)
        for dtype in (torch.bfloat16, torch.float32)
    )
    assert low.dtype == torch.float32
    torch.testing.assert_close(low, high, rtol=2e-3, atol=0)


def test_bfloat16_images_round_neither_the_time_nor_the_loss():
    x0, eps, net = torch.zeros(3, 1, 4).bfloat16(), torch.zeros(3, 1, 4).bfloat16(), Net(torch.bfloat16)
    losses = SimpleLoss(Parameterisation(prediction.eps))(net, x0, eps, SCHEDULE.levels(torch.tensor(INDICES)))
    assert losses.dtype == torch.float32
    assert net.told[0].dtype == torch.bfloat16
    assert net.told[1].tolist() == [0, 399, 999]


def test_gradients_reach_the_network():
    weight = torch.ones((), requires_grad=True)
    x0, eps = torch.randn(3, 1, 4), torch.randn(3, 1, 4)
    level = SCHEDULE.levels(torch.tensor(INDICES))
    SimpleLoss(Parameterisation(prediction.v))(lambda x, t, cond=None: weight * x, x0, eps, level).sum().backward()
    assert weight.grad.abs() > 0


@cases("predict", TARGETS)
def test_weighted_by_the_constant_it_is_the_error_of_the_image(predict):
    x0, eps, net = torch.rand(3, 2, 5) * 2 - 1, torch.randn(3, 2, 5), Net()
    level = SCHEDULE.levels(torch.tensor([10, 400, 900]))
    losses = SimpleLoss(Parameterisation(predict), weighting.constant)(net, x0, eps, level)
    denoised = NetworkDenoiser(net, Parameterisation(predict))(diffuse(x0, eps, level), level).x0
    torch.testing.assert_close(losses, (denoised - x0).square().flatten(1).mean(1), rtol=1e-3, atol=1e-6)


def test_the_weights_are_those_of_the_levels():
    x0, eps, net = torch.rand(3, 2, 5) * 2 - 1, torch.randn(3, 2, 5), Net()
    level = SCHEDULE.levels(torch.tensor(INDICES))
    plain, weighed = (
        SimpleLoss(Parameterisation(prediction.eps), w)(net, x0, eps, level)
        for w in (weighting.simple, weighting.MinSNR(5.0))
    )
    expected = (5 / level.snr).clamp(max=1)  # Hang et al. 2023: min(SNR, gamma) / SNR on eps
    torch.testing.assert_close((weighed / plain).double(), expected, rtol=1e-5, atol=0)

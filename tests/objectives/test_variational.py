"""The bound as a loss: it is the bound, and beside the simple loss it trains the variance alone."""

import pytest
import torch
from torch import nn

from cases import cases
from ddpm.core import NetworkDenoiser, Parameterisation, prediction
from ddpm.core.discrete import cosine
from ddpm.objectives import Hybrid, SimpleLoss, Variational
from ddpm.objectives.bound import bound, least
from ddpm.sampling.grid import uniform

T = 12
SCHEDULE = cosine(T)
GRID = uniform(SCHEDULE, T)
GENERATOR = torch.Generator().manual_seed(0)
X0 = torch.randint(0, 256, (3, 2, 4, 5), generator=GENERATOR).double() / 127.5 - 1
EPS = torch.randn(X0.shape, generator=GENERATOR, dtype=torch.float64)
LEARNS = Parameterisation(prediction.v, learned_variance=True)
FIXED = Parameterisation(prediction.v)


class Net(nn.Module):
    """A network whose mean and variance have weights of their own, and which sees t and the condition."""

    def __init__(self, learned_variance: bool):
        super().__init__()
        self.mean = nn.Parameter(torch.tensor(0.3, dtype=torch.float64))
        self.variance = nn.Parameter(torch.tensor(0.2, dtype=torch.float64)) if learned_variance else None
        self.calls = 0

    def forward(self, x, t, cond=None):
        self.calls += 1
        t = t.reshape(-1, 1, 1, 1).to(x) / T
        mean = (self.mean + 0.1 * t) * x
        return mean if self.variance is None else torch.cat([mean, (self.variance * (x - t)).tanh()], 1)


def step(timestep: int):
    """The level of all images and its neighbour."""
    now = torch.full((len(X0),), timestep)
    return SCHEDULE.levels(now), SCHEDULE.levels(now - 1)


@cases(("parameterisation", "fixed"), [(LEARNS, 0.0), (FIXED, 0.0), (FIXED, 1.0)])
def test_its_mean_over_the_levels_is_the_bound(parameterisation, fixed):
    """The same noise at every level: the whole bound but its prior, image by image."""
    net = Net(parameterisation.learned_variance)
    loss = Variational(parameterisation, T, least(GRID), fixed)
    mean = torch.stack([loss(net, X0, EPS, *step(i)) for i in range(1, T + 1)]).mean(0)
    whole = bound(NetworkDenoiser(net, parameterisation), X0, GRID, lambda: EPS, fixed=fixed)
    torch.testing.assert_close(mean.detach(), whole.kl + whole.decoder, rtol=1e-10, atol=0)


def test_one_batch_of_many_levels():
    """The clean step among them."""
    net, loss = Net(True), Variational(LEARNS, T, least(GRID))
    now = torch.tensor([1, 7, T])
    together = loss(net, X0, EPS, SCHEDULE.levels(now), SCHEDULE.levels(now - 1))
    alone = [loss(net, X0, EPS, *step(int(i)))[k] for k, i in enumerate(now)]
    torch.testing.assert_close(together, torch.stack(alone), rtol=1e-10, atol=0)


def test_the_bound_alone_trains_all():
    net = Net(True)
    Variational(LEARNS, T, least(GRID))(net, X0, EPS, *step(5)).sum().backward()
    assert net.mean.grad != 0
    assert net.variance.grad != 0


def grads(loss, timestep):
    net = Net(True)
    loss(net, X0, EPS, *step(timestep)).sum().backward()
    return net.mean.grad, net.variance.grad


def test_beside_the_simple_loss_it_trains_the_variance_alone():
    """The mean's gradient is the simple loss's to the bit, whatever the share; the variance's is the bound's."""
    for timestep in [1, 2, 7, T]:
        simple, variational = SimpleLoss(LEARNS), Variational(LEARNS, T, least(GRID))
        mean, variance = grads(Hybrid(simple, variational, 1000.0), timestep)
        net = Net(True)
        simple(net, X0, EPS, *step(timestep)).sum().backward()
        assert torch.equal(mean, net.mean.grad)
        assert net.variance.grad is None or not net.variance.grad.any()
        _, alone = grads(variational, timestep)
        assert alone != 0
        torch.testing.assert_close(variance, 1000.0 * alone, rtol=1e-12, atol=0)


def test_hybrid_is_the_sum_of_both_from_one_call():
    simple, variational = SimpleLoss(LEARNS), Variational(LEARNS, T, least(GRID))
    net = Net(True)
    expected = simple(net, X0, EPS, *step(3)) + 0.001 * variational(net, X0, EPS, *step(3))
    net.calls = 0
    torch.testing.assert_close(Hybrid(simple, variational)(net, X0, EPS, *step(3)), expected, rtol=1e-12, atol=0)
    assert net.calls == 1


def test_float32():
    """Images of float32 give a loss of float32, of float64's value."""
    net = Net(True)
    for loss in (Variational(LEARNS, T, least(GRID)), Hybrid(SimpleLoss(LEARNS), Variational(LEARNS, T, least(GRID)))):
        exact = loss(net, X0, EPS, *step(2))
        rounded = loss(net.float(), X0.float(), EPS.float(), *step(2))
        net.double()
        assert (exact.shape, rounded.dtype) == ((3,), torch.float32)
        torch.testing.assert_close(rounded.double(), exact, rtol=1e-4, atol=1e-6)


def test_hybrid_needs_a_variance():
    with pytest.raises(ValueError, match="use the simple loss"):
        Hybrid(SimpleLoss(FIXED), Variational(FIXED, T, 1e-3))


def test_hybrid_asks_in_one_way():
    with pytest.raises(ValueError, match="same parameterisation"):
        Hybrid(SimpleLoss(FIXED), Variational(LEARNS, T, 1e-3))

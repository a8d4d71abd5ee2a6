"""How a network is asked: the time, the scale of its input, the halves of its answer."""

import pytest
import torch

from cases import cases
from ddpm.core import Cond, Level, NetworkDenoiser, Parameterisation, prediction
from ddpm.core.parameterisation import UnitVariance

LEVEL = Level(17.0, 0.8, 0.6)
MANY = Level(*(torch.tensor(v, dtype=torch.float64) for v in ([3.0, 17.0], [0.96, 0.8], [0.28, 0.6])))


class Net:
    """Says a constant after another, channel by channel, and keeps what it was told."""

    def __init__(self, channels, dtype=torch.float32):
        self.channels, self.dtype = channels, dtype

    def __call__(self, x, t, cond=None):
        self.told = (x, t, cond)
        rising = torch.arange(self.channels, dtype=self.dtype).reshape(1, -1, *[1] * (x.ndim - 2))
        return rising.expand(len(x), -1, *x.shape[2:])


def test_the_network_is_told_the_time_of_each_image_and_the_condition():
    x, cond, net = torch.randn(2, 1, 3), Cond(torch.zeros(2, 4)), Net(1)
    ask = Parameterisation(prediction.v).ask
    ask(net, x, LEVEL, cond)
    assert net.told[0] is x
    assert net.told[1].tolist() == [17.0, 17.0]
    assert net.told[1].dtype == torch.float32
    assert net.told[2] is cond
    ask(net, x, MANY)
    assert net.told[1].tolist() == [3.0, 17.0]


def test_a_learned_variance_is_the_second_half_of_the_channels():
    for space in [(3,), (2, 4), (2, 2, 2)]:
        answer = Parameterisation(prediction.eps, learned_variance=True).ask(Net(4), torch.zeros(5, 2, *space), LEVEL)
        for channel, (said, mixed) in enumerate([(0, 1.5), (1, 2.0)]):
            assert answer.output.shape == answer.var_mix.shape == (5, 2, *space)
            assert bool((answer.output[:, channel] == said).all())
            assert bool((answer.var_mix[:, channel] == mixed).all())  # v = -1 is the lower bound, v = 1 the upper
        assert Parameterisation(prediction.eps).ask(Net(2), torch.zeros(5, 2, 3), LEVEL).var_mix is None


@cases(("said", "heard"), [("bfloat16", "float32"), ("float32", "float32"), ("float64", "float64")])
def test_what_half_precision_says_is_worked_on_in_float32(said, heard):
    answer = Parameterisation(prediction.x0).ask(Net(1, getattr(torch, said)), torch.zeros(1, 1, 2), LEVEL)
    assert answer.output.dtype == getattr(torch, heard)


def test_the_input_of_data_with_that_deviation_has_variance_one():
    for sigma_data in [0.5, 1.3]:
        for level in [Level(0.0, 1.0, 0.002), Level(0.0, 1.0, 80.0), Level(0.0, 0.8, 0.6), Level(0, 0.0, 1.0)]:
            c_in = UnitVariance(sigma_data)(level)
            assert c_in**2 * (level.alpha**2 * sigma_data**2 + level.sigma**2) == pytest.approx(1, abs=1e-14)


def test_the_input_is_scaled_for_the_network_alone():
    x, net = torch.randn(2, 1, 6), Net(1)
    level = Level(0.0, 1.0, 3.0)
    x0 = NetworkDenoiser(net, Parameterisation(prediction.eps, UnitVariance(0.5)))(x, level).x0
    torch.testing.assert_close(net.told[0], x / (0.25 + 9) ** 0.5)
    torch.testing.assert_close(x0, x)  # eps is 0 in the only channel


@cases("sigma_data", [0.5, 1.0])
@cases("sigma", [0.002, 0.3, 1.0, 80.0])
def test_edm_is_the_table_of_its_paper(sigma, sigma_data):
    """D(x) = c_skip · x + c_out · F(c_in · x), Karras et al. 2022, eq. 7 and table 1."""
    root = (sigma**2 + sigma_data**2) ** 0.5
    c_skip, c_out, c_in = sigma_data**2 / root**2, sigma * sigma_data / root, 1 / root
    x = torch.randn(3, 1, 5, dtype=torch.float64)

    def net(x, t, cond=None):
        return x**2 - 0.3

    edm = Parameterisation(prediction.EDMPrediction(sigma_data), UnitVariance(sigma_data))
    x0 = NetworkDenoiser(net, edm)(x, Level(0.0, 1.0, sigma)).x0
    torch.testing.assert_close(x0, c_skip * x + c_out * net(c_in * x, None), rtol=1e-12, atol=1e-12)


@cases("level", [MANY, Level(0.0, 1.0, 80.0), Level(0.0, 0.7, 0.3), Level(0.0, 0.0, 1.0)])
def test_edm_with_unit_data_is_v_reversed_on_every_process(level):
    a, b = prediction.EDMPrediction(1.0)(level)
    va, vb = prediction.v(level)
    torch.testing.assert_close(torch.as_tensor(a), -torch.as_tensor(va))
    torch.testing.assert_close(torch.as_tensor(b), -torch.as_tensor(vb))
    torch.testing.assert_close(
        torch.as_tensor(va) ** 2 + torch.as_tensor(vb) ** 2, torch.ones_like(torch.as_tensor(va))
    )

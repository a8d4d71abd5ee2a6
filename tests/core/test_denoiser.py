"""What a network is told, and how its answer becomes x0."""

import torch

from ddpm.core import Cond, Level, NetworkDenoiser, Parameterisation, prediction
from ddpm.core.discrete import linear


class Echo:
    """A network that keeps what it was told."""

    def __call__(self, x, t, cond=None):
        self.told = (x, t, cond)
        return x / 2


def test_the_network_is_told_t_for_each_image():
    """In float32, as bfloat16 has no 999."""
    for dtype in [torch.bfloat16, torch.float32, torch.float64]:
        net = Echo()
        x, cond = torch.randn(3, 1, 4, dtype=dtype), Cond(torch.randn(3, 2))
        denoise = NetworkDenoiser(net, Parameterisation(prediction.x0))
        out = denoise(x, linear().level(7), cond)
        assert torch.equal(net.told[0], x)
        assert net.told[1].dtype == torch.float32
        assert net.told[1].tolist() == [6, 6, 6]
        assert net.told[2] is cond
        assert torch.equal(out.x0, x / 2)
        assert out.var_mix is None

        denoise(x, linear().levels(torch.tensor([1, 9, 1000])))
        assert net.told[1].dtype == torch.float32
        assert net.told[1].tolist() == [0, 8, 999]
        assert net.told[2] is None


def test_the_answer_is_read_by_its_type():
    x = torch.randn(2, 1, 3, dtype=torch.float64)
    level = Level(0.0, 0.8, 0.6)
    assert torch.allclose(
        NetworkDenoiser(Echo(), Parameterisation(prediction.eps))(x, level).x0, (x - 0.6 * x / 2) / 0.8
    )
    assert torch.allclose(NetworkDenoiser(Echo(), Parameterisation(prediction.v))(x, level).x0, 0.8 * x - 0.6 * x / 2)


def test_conditions_join_in_order():
    a, b = Cond(torch.randn(2, 3)), Cond(torch.randn(1, 3))
    assert torch.equal(a.cat(b).vector, torch.cat([a.vector, b.vector]))

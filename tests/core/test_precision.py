import torch
from torch import nn

from ddpm.core.precision import Autocast


class Net(nn.Module):
    """Keeps the dtype that its product had."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x, t, cond=None):
        y = self.linear(x)
        self.computed = y.dtype
        return y


def test_products_are_in_half_precision_and_the_rest_is_not():
    torch.manual_seed(0)
    net, x = Net(), torch.randn(4, 2, 8)
    exact = net(x, torch.zeros(4))
    assert net.computed == torch.float32
    rounded = Autocast(net, torch.bfloat16)(x, torch.zeros(4))
    assert net.computed == torch.bfloat16
    assert rounded.dtype == torch.float32
    # bfloat16 has 8 bits: a product of 8 terms is off by about 2^-8 of their size
    torch.testing.assert_close(rounded, exact, rtol=0, atol=2**-8 * 4)
    assert not torch.equal(rounded, exact)

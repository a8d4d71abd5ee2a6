from functools import partial

import pytest
import torch
from pydantic import ValidationError

from ddpm.config.lucidrains_unet import LucidrainsUNetSettings
from ddpm.core import Cond
from ddpm.networks import LucidrainsUNet
from randomised import randomised

SMALL = {"width": 8, "multipliers": (1, 2), "heads": (2, 1), "head_width": (4, 8)}
T = torch.tensor([3.0, 500.0])


def test_fresh_network_says_nothing():
    assert not LucidrainsUNet(LucidrainsUNetSettings(**SMALL))(torch.randn(2, 3, 8, 12), T).any()


@torch.no_grad()
def test_any_size_and_number_of_axes():
    for size in [(16,), (8, 12), (4, 8, 4)]:
        net = randomised(partial(LucidrainsUNet, LucidrainsUNetSettings(**SMALL, space=len(size), out_channels=6)))
        assert net(torch.randn(2, 3, *size), T).shape == (2, 6, *size)
    with pytest.raises(ValueError, match="divisible"):
        LucidrainsUNet(LucidrainsUNetSettings(**SMALL))(torch.randn(2, 3, 8, 13), T)


def test_every_weight_has_an_effect():
    net = randomised(lambda: LucidrainsUNet(LucidrainsUNetSettings(**SMALL, cond_width=5)))
    net(torch.randn(2, 3, 8, 8), T, Cond(torch.randn(2, 5))).square().sum().backward()
    still = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert not still


def test_levels_have_one_value_each():
    assert LucidrainsUNetSettings(multipliers=(1, 2)).attention == ("linear", "full")
    for changes in ({"heads": (1,)}, {"attention": ("full",) * 3}, {"multipliers": ()}, {"width": 7}):
        with pytest.raises(ValidationError):
            LucidrainsUNetSettings(**SMALL | changes)

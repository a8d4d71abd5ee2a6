"""The classifier of noised images: the U-Net's way down, then one answer."""

import dataclasses

import pytest
import torch

from ddpm.config.network import UNetSettings
from ddpm.core import Cond
from ddpm.networks import NoisedClassifier, UNet
from randomised import randomised

SMALL = UNetSettings(out_channels=5, width=8, multipliers=(1, 2), blocks=1, head_width=4)
T = torch.tensor([3.0, 500.0])


def small(**changes) -> NoisedClassifier:
    """A small one, random also where a fresh one is zero."""
    return randomised(lambda: NoisedClassifier(dataclasses.replace(SMALL, **changes)))


def image(*size: int) -> torch.Tensor:
    return torch.randn(2, 3, *(size or (8, 12)), generator=torch.Generator().manual_seed(1))


def test_a_fresh_one_finds_every_class_as_likely():
    assert not NoisedClassifier(SMALL)(image(), T).any()


def test_shapes():
    for size in [(16,), (8, 12), (4, 8, 4)]:
        for patch in [1, 2]:
            net = small(space=len(size), patch=patch, scale_shift=True)
            assert net(image(*size), T).shape == (2, 5)


def test_every_parameter_matters():
    net = small(patch=2, attention=(2, 4))
    net(image(), T).square().sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_the_way_down_is_the_u_nets():
    """By name and shape, so that settings mean the same to both."""
    theirs = {k: v.shape for k, v in UNet(SMALL).state_dict().items() if not k.startswith(("up", "norm_out", "conv_"))}
    ours = {k: v.shape for k, v in small().state_dict().items() if not k.startswith(("pool", "norm_out", "conv_in"))}
    assert ours == theirs


def test_image_by_image_and_its_own_time():
    net, x = small(), image()
    both = net(x, T)
    torch.testing.assert_close(both[:1], net(x[:1], T[:1]))
    assert (net(x, T.flip(0)) - both).abs().amax(dim=1).min() > 1e-2


def test_refusals():
    with pytest.raises(ValueError, match=r"size 8×9 .* by 2; .* 8×8"):
        small()(image(8, 9), T)
    with pytest.raises(ValueError, match="takes no condition"):
        small()(image(), T, Cond(torch.zeros(2, 8)))
    with pytest.raises(ValueError, match="cond_width is 8; it must be None"):
        small(cond_width=8)

"""The published U-Nets as a network of its own; tests/agreement compares it with theirs."""

import pytest
import torch

from cases import cases
from ddpm.config.plain_unet import PlainUNetSettings
from ddpm.core import Cond
from ddpm.networks import PlainUNet
from ddpm.networks.cross_attention import Context
from randomised import randomised

TRANSFORMER = ("transformer",)
SMALL = {"width": 8, "multipliers": (1, 2), "blocks": (1,), "attention": ("self", "transformer"), "norm_groups": 4}
VARIANTS = [
    {"middle": "self", "scale_shift": True, "downsample": ("residual",), "upsample": ("residual",), "heads": (2,)},
    {"attention": ("none",), "attention_up": ("none", "self"), "middle_blocks": 1, "downsample": ("average",)},
    {"multipliers": (1.5, 1, 2), "blocks": (1, 2, 1), "attention": ("none",), "middle_blocks": 0, "padding": 0},
    {"attention": TRANSFORMER, "token_width": 6, "cond_width": 32, "depth": (1, 2), "upsample": ("nearest",)},
]
T = torch.tensor([3.0, 500.0])


def small(**changes) -> PlainUNet:
    """A small network, random also where a fresh one is zero."""
    return randomised(lambda: PlainUNet(PlainUNetSettings(**SMALL | changes)))


def image(*size: int) -> torch.Tensor:
    return torch.randn(2, 3, *(size or (8, 12)), generator=torch.Generator().manual_seed(1))


def cond(net: PlainUNet) -> Cond:
    """A condition with the parts that the network takes."""
    s, noise = net.settings, torch.Generator().manual_seed(2)
    vector = None if s.cond_width is None else torch.randn(2, s.cond_width, generator=noise)
    return Cond(vector, tokens=None if s.token_width is None else torch.randn(2, 5, s.token_width, generator=noise))


def test_published_parameters():
    attention = ("transformer", "transformer", "transformer", "none")
    stable_diffusion = {"width": 320, "multipliers": (1, 2, 4, 4), "heads": (8,), "token_width": 768}
    cifar10 = {"width": 128, "multipliers": (1, 2, 2, 2), "attention": ("none", "self", "none", "none")}
    with torch.device("meta"):
        for known, shape in [
            (859_520_964, {"in_channels": 4, "out_channels": 4, "attention": attention, **stable_diffusion}),
            (35_746_307, {**cifar10, "middle": "self", "heads": (1,)}),
        ]:
            net = PlainUNet(PlainUNetSettings(norm_groups=32, **shape))
            assert sum(p.numel() for p in net.parameters()) == known


def test_with_tokens_attention_is_a_transformer():
    assert PlainUNetSettings().attention == ("none", "self", "self")
    given = PlainUNetSettings(token_width=8)
    assert (given.attention, given.middle) == (("none", "transformer", "transformer"), "transformer")
    own = PlainUNetSettings(token_width=8, attention=("none", "self", "transformer"), middle="self")
    assert (own.attention, own.middle) == (("none", "self", "transformer"), "self")


def test_fresh_network_says_nothing():
    for changes in VARIANTS:
        net = PlainUNet(PlainUNetSettings(**SMALL | changes))
        assert not net(image(), T, cond(net)).any()
        block = net.down[0].layers[0]
        x = torch.randn(2, net.settings.channels[0], 4, 4)
        context = Context.of(cond(net), net.settings.token_width)
        assert torch.equal(block(x, torch.randn(2, 32), context), x)


def test_every_parameter_matters():
    for changes in [{}, *VARIANTS]:
        net = small(**changes)
        net(image(), T, cond(net)).square().sum().backward()
        assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_shapes():
    for size in [(16,), (8, 12), (4, 8, 4)]:
        for changes in VARIANTS:
            net = small(space=len(size), out_channels=6, **changes)
            assert net(image(*size), T, cond(net)).shape == (2, 6, *size)


def test_checkpointing_keeps_output_and_gradients():
    def run(checkpoint: bool) -> list[torch.Tensor]:
        net = small(checkpoint=checkpoint, dropout=0.5)
        torch.manual_seed(2)
        out = net(image(), T)
        out.square().mean().backward()
        return [out, *(p.grad for p in net.parameters())]

    torch.testing.assert_close(run(True), run(False), rtol=0, atol=0)


def test_padded_tokens_are_ignored():
    net = small(token_width=6)
    tokens = torch.randn(2, 5, 6)
    mask = torch.tensor([[True] * 3 + [False] * 2] * 2)
    torch.testing.assert_close(
        net(image(), T, Cond(tokens=tokens, weights=mask)), net(image(), T, Cond(tokens=tokens[:, :3]))
    )


@cases(
    ("changes", "named"),
    [
        ({"width": 9}, "width"),
        ({"multipliers": (1, 1.3)}, "multipliers"),
        ({"multipliers": ()}, "multipliers"),
        ({"blocks": (1, 1, 1)}, "blocks"),
        ({"norm_groups": 3}, "norm_groups"),
        ({"heads": (3,)}, "heads"),
        ({"cond_width": 8}, "cond_width"),
        ({"attention": ("none",), "middle": "self", "token_width": 4}, "token_width"),
        ({"attention": 3, "token_width": 4}, "attention"),
    ],
)
def test_refusals(changes, named):
    with pytest.raises(ValueError, match=named):
        PlainUNetSettings(**SMALL | changes)

import dataclasses

import pytest
import torch

from cases import cases
from ddpm.config.network import UNetSettings
from ddpm.core import Cond
from ddpm.networks import UNet
from randomised import randomised

SMALL = UNetSettings(width=8, multipliers=(1, 2), blocks=1, head_width=4)
LIGHT = {"norm": "layer", "upsample": "linear", "skips": "blocks", "stem": 4, "patch": 2, "attention": (4,)}
T = torch.tensor([3.0, 500.0])


def small(**changes) -> UNet:
    """A small network, random also where a fresh one is zero."""
    return randomised(lambda: UNet(dataclasses.replace(SMALL, **changes)))


def image(*size: int) -> torch.Tensor:
    return torch.randn(2, 3, *(size or (8, 12)), generator=torch.Generator().manual_seed(1))


def test_cifar10_parameters():
    with torch.device("meta"):
        net = UNet(UNetSettings(dropout=0.1))
    assert sum(p.numel() for p in net.parameters()) == 35_746_307


def test_names():
    names = set(small().state_dict())
    assert {"down.0.blocks.0.conv1.weight", "down.0.downsample.conv.weight", "middle.0.attention.qkv.weight"} <= names
    assert {"up.0.upsample.conv.weight", "up.1.blocks.1.shortcut.weight", "time.linear2.bias"} <= names
    # Attention at half resolution and in the middle, nowhere else.
    attending = {name.partition(".attention.")[0] for name in names if ".attention." in name}
    assert attending == {"down.1.blocks.0", "middle.0", "up.0.blocks.0", "up.0.blocks.1"}


def test_fresh_network_says_nothing():
    for changes in [{}, LIGHT]:
        assert not UNet(dataclasses.replace(SMALL, **changes))(image(), T).any()


def test_fresh_residual_branches_are_nothing():
    block = UNet(SMALL).middle[0]
    x = torch.randn(2, 16, 4, 4)
    assert torch.equal(block(x, torch.randn(2, 32)), x)


def test_shapes():
    for size in [(16,), (8, 12), (4, 8, 4)]:
        for patch in [1, 2]:
            net = small(space=len(size), patch=patch, out_channels=6, scale_shift=True)
            assert net(image(*size), T).shape == (2, 6, *size)
        light = small(space=len(size), **LIGHT)
        assert light(image(*size), T).shape == (2, 3, *size)


def test_light_networks_have_one_skip_a_block():
    names = set(small(**LIGHT, multipliers=(1, 2, 3)).state_dict())
    blocks = {name.partition(".conv1.")[0] for name in names if name.startswith("up.") and ".conv1." in name}
    assert blocks == {"up.0.blocks.0", "up.1.blocks.0", "up.2.blocks.0"}


def test_every_parameter_matters():
    for changes in [{"patch": 2, "attention": (2, 4)}, LIGHT]:
        net = small(cond_width=5, **changes)
        net(image(), T, Cond(torch.randn(2, 5))).square().sum().backward()
        assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_time_is_heard_image_by_image():
    for scale_shift in [False, True]:
        net = small(scale_shift=scale_shift)
        x = image()
        both = net(x, T)
        torch.testing.assert_close(both[:1], net(x[:1], T[:1]))
        assert (net(x, T.flip(0)) - both).abs().amax(dim=(1, 2, 3)).min() > 1e-2


def test_checkpointing_keeps_output_and_gradients():
    def run(checkpoint: bool) -> list[torch.Tensor]:
        net = small(checkpoint=checkpoint, dropout=0.5)
        torch.manual_seed(2)
        out = net(image(), T)
        out.square().mean().backward()
        return [out, *(p.grad for p in net.parameters())]

    torch.testing.assert_close(run(True), run(False), rtol=0, atol=0)


def test_checkpointing_keeps_less():
    def kept(checkpoint: bool) -> int:
        """Numbers that the graph keeps, each storage once."""
        net, storages = small(checkpoint=checkpoint), {}

        def pack(x: torch.Tensor) -> torch.Tensor:
            storages[x.untyped_storage().data_ptr()] = x.numel()
            return x

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            net(image(32, 32), T)
        return sum(storages.values())

    assert kept(True) < kept(False) / 2


def test_dropout_in_training_only():
    net = small(dropout=0.5)
    x = image()
    assert not torch.equal(net(x, T), net(x, T))
    net.eval()
    assert torch.equal(net(x, T), net(x, T))
    assert torch.equal(net(x, T), small().eval()(x, T))


def test_channels_last_changes_nothing_but_memory():
    for space, changes in [(2, {}), (2, LIGHT), (3, {})]:
        memory = {2: torch.channels_last, 3: torch.channels_last_3d}[space]
        x = image(*[8] * space)
        net = small(space=space, **changes)
        expected = net(x, T)
        out = net.to(memory_format=memory)(x.to(memory_format=memory), T)
        assert out.is_contiguous(memory_format=memory)
        torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-5)


def test_bfloat16():
    for changes in [{}, LIGHT]:
        net, x = small(**changes), image()
        expected = net(x, T)
        with torch.autocast("cpu", torch.bfloat16):
            autocast = net(x, T)
        low = net.bfloat16()(x.bfloat16(), T)
        for out in autocast, low:
            assert out.dtype == torch.bfloat16
            # Eight bits a number: each of some 20 layers in a row adds about 2⁻⁹ of its size.
            error = (out.float() - expected).square().mean().sqrt() / expected.std()
            assert 0 < error < 0.03


def test_condition_is_heard():
    net = small(cond_width=5)
    a, b = torch.randn(2, 2, 5)
    x = image()
    assert not torch.allclose(net(x, T, Cond(a)), net(x, T, Cond(b)), atol=1e-2)
    with pytest.raises(ValueError, match="requires a condition"):
        net(x, T)


def test_unasked_condition():
    with pytest.raises(ValueError, match="takes no condition"):
        small()(image(), T, Cond(torch.zeros(2, 5)))


def test_odd_size():
    assert small().settings.divisor == 2
    assert small(patch=3, attention=(6,)).settings.divisor == 6
    with pytest.raises(ValueError, match=r"^size 9×3 .* by 4; .* 8×4$"):
        small(patch=2)(image(9, 3), T)
    with pytest.raises(ValueError, match=r"shape \(2, 3, 8\); .* 2 spatial axes"):
        small()(image(8), T)


@cases(
    ("wrong", "message"),
    [
        ({"in_channels": 0}, "in_channels is 0"),
        ({"width": 6, "multipliers": ()}, "multipliers is"),
        ({"width": 9}, "width is 9; it must be even"),
        ({"attention": (2, 3)}, r"attention is at factors \[3\]; .*\(1, 2\)"),
        ({"attention": (1,), "patch": 2}, r"attention is at factors \[1\]; .*\(2, 4\)"),
        ({"head_width": 5}, "head_width is 5; it must divide 16"),
        ({"head_width": 0}, "head_width is 0"),
        ({"attention": (1,), "head_width": 16}, "head_width is 16; it must divide 8"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"space": 4}, "space is 4"),
        ({"cond_width": 0}, "cond_width is 0"),
    ],
)
def test_settings_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SMALL, **wrong)

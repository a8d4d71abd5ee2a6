from typing import Any

import pytest
import torch
from pydantic import ValidationError

from cases import cases
from ddpm.config.dit import SIZES, DiTSettings, PlainDiTSettings
from ddpm.core import Cond
from ddpm.networks import DiT, PlainDiT
from ddpm.networks.transformer import SelfAttention, patches, rotate, rotations, unpatched

SMALL = {"depth": 3, "width": 16, "heads": 2}
ALL = {"class_tokens": 2, "bottleneck": 3, "long_skips": True, "final_conv": True}
"""Every part of a DiT that is an option."""
KINDS: list[tuple[str, dict[str, Any]]] = [("dit", {}), ("dit", ALL), ("plain", {})]
T = torch.tensor([3.0, 500.0])


def made(kind: str, **changes: Any) -> DiT | PlainDiT:
    if kind == "plain":
        return PlainDiT(PlainDiTSettings(**SMALL | changes))
    return DiT(DiTSettings(**SMALL | changes))


def small(kind: str = "dit", **changes: Any) -> DiT | PlainDiT:
    """A small network, random also where a fresh one is zero."""
    torch.manual_seed(0)
    net = made(kind, **changes)
    with torch.no_grad():
        for p in net.parameters():
            p += 0.1 * torch.randn_like(p)
    return net


def image(*size: int) -> torch.Tensor:
    return torch.randn(2, 3, *(size or (8, 12)), generator=torch.Generator().manual_seed(1))


def test_published_sizes():
    """As in Peebles & Xie 2023, for latents of four channels with a learned variance, without label embeddings."""
    for size, millions in [("S", 33), ("B", 130), ("L", 458), ("XL", 675)]:
        with torch.device("meta"):
            net = PlainDiT(PlainDiTSettings(size=size, in_channels=4, out_channels=8))
        assert round(sum(p.numel() for p in net.parameters()) / 1e6) == pytest.approx(millions, abs=1)


def test_sizes_are_defaults():
    for size, shape in SIZES.items():
        for settings in (DiTSettings(size=size), PlainDiTSettings(size=size)):
            assert (settings.depth, settings.width, settings.heads) == shape
        assert DiTSettings(size=size, depth=2).width == shape.width
        assert DiTSettings(size=size, depth=2).depth == 2


@cases(("kind", "changes"), KINDS)
def test_fresh_network_says_nothing(kind, changes):
    assert not made(kind, **changes)(image(), T).any()


@cases(("kind", "changes"), KINDS)
def test_any_size_and_number_of_axes(kind, changes):
    for size in [(16,), (8, 12), (4, 8, 4)]:
        net = small(kind, space=len(size), out_channels=6, **changes | {"width": 24})
        assert net(image(*size), T).shape == (2, 6, *size)


@cases(
    ("option", "value", "adds"),
    [
        ("class_tokens", 2, {"class_tokens"}),
        ("bottleneck", 3, {"reduce"}),
        ("long_skips", True, {"blocks.2.skip"}),
        ("final_conv", True, {"conv"}),
    ],
)
def test_options_add_their_parts(option, value, adds):
    names, more = (set(small(**changes).state_dict()) for changes in ({}, {option: value}))
    assert {name.removesuffix(".weight").removesuffix(".bias") for name in more - names} == adds


def test_patches_are_put_back():
    x = image(8, 12)
    assert torch.equal(unpatched(patches(x, 4), 4, (8, 12)), x)
    assert torch.equal(patches(x, 4)[:, 1].reshape(2, 3, 4, 4), x[:, :, :4, 4:8])


@cases(("kind", "changes"), KINDS)
def test_every_parameter_matters(kind, changes):
    net = small(kind, cond_width=16, **changes)
    net(image(), T, Cond(torch.randn(2, 16))).square().sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


@cases(("kind", "changes"), KINDS)
def test_time_is_heard_image_by_image(kind, changes):
    net, x = small(kind, **changes), image()
    both = net(x, T)
    torch.testing.assert_close(both[:1], net(x[:1], T[:1]))
    assert (net(x, T.flip(0)) - both).abs().amax(dim=(1, 2, 3)).min() > 1e-3


@cases(("kind", "changes"), KINDS)
def test_checkpointing_keeps_output_and_gradients(kind, changes):
    def run(checkpoint: bool) -> tuple[list[torch.Tensor], int]:
        """The output and the gradients, and the numbers that the graph keeps, each storage once."""
        net, storages = small(kind, checkpoint=checkpoint, **changes), {}

        def pack(x: torch.Tensor) -> torch.Tensor:
            storages[x.untyped_storage().data_ptr()] = x.numel()
            return x

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            out = net(image(), T)
        out.square().mean().backward()
        return [out, *(p.grad for p in net.parameters())], sum(storages.values())

    (ours, less), (expected, more) = run(True), run(False)
    torch.testing.assert_close(ours, expected, rtol=0, atol=0)
    assert less < more


def test_dropout_in_training_only():
    net, x = small(dropout=0.5), image()
    assert not torch.equal(net(x, T), net(x, T))
    assert torch.equal(net.eval()(x, T), small().eval()(x, T))


@cases(("kind", "changes"), KINDS)
def test_bfloat16(kind, changes):
    """Half precision rounds the inputs of each layer; weights, norms and the stream of tokens are float32."""
    net, x = small(kind, **changes), image()
    expected, streams = net(x, T), []
    for block in net.blocks:
        block.register_forward_hook(lambda module, args, out: streams.append(out.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        autocast = net(x, T)
    assert set(streams) == {torch.float32}
    assert {p.dtype for p in net.parameters()} == {torch.float32}
    low = net.bfloat16()(x.bfloat16(), T)
    for out in autocast, low:
        error = (out.float() - expected).square().mean().sqrt() / expected.std()
        assert 0 < error < 0.03


def test_queries_and_keys_cannot_explode():
    """Promise: a thousand times larger weights of queries and keys leave normalised attention as it is."""
    attention = SelfAttention(16, 2, norm=True)
    x = torch.randn(2, 5, 16)
    expected = attention(x)
    with torch.no_grad():
        attention.qkv.weight[:32] *= 1000
    torch.testing.assert_close(attention(x), expected, rtol=1e-3, atol=1e-4)


def test_only_differences_of_positions_matter():
    """Products of a query and a key, in one to three axes, are the same after a common shift, but not after another."""
    for sides, step in [((9,), 2), ((5, 6), 7), ((3, 4, 5), 26)]:
        q, k = torch.randn(2, 1, 1, 1, 12).expand(2, 1, 1, int(torch.tensor(sides).prod()), 12)
        turn = rotations(sides, 12, torch.device("cpu"))
        products = rotate(q, turn)[0, 0] @ rotate(k, turn)[0, 0].T
        torch.testing.assert_close(products[0, 1], products[step, step + 1], rtol=1e-4, atol=1e-5)
        assert (products[0, 1] - products[0, 0]).abs() > 1e-3


@cases(("kind", "changes"), KINDS)
def test_condition_is_heard(kind, changes):
    net, x = small(kind, cond_width=16, **changes), image()
    a, b = torch.randn(2, 2, 16)
    assert not torch.allclose(net(x, T, Cond(a)), net(x, T, Cond(b)), atol=1e-3)
    with pytest.raises(ValueError, match="requires a condition"):
        net(x, T)
    with pytest.raises(ValueError, match="takes no condition"):
        small(kind, **changes)(x, T, Cond(a))


@cases(("kind", "changes"), KINDS)
def test_further_channels_are_heard(kind, changes):
    net, x = small(kind, in_channels=5, **changes), image()
    a, b = torch.randn(2, 2, 2, 8, 12)
    assert not torch.allclose(net(x, T, Cond(image=a)), net(x, T, Cond(image=b)), atol=1e-3)


def test_tokens_are_read_and_padding_is_not():
    for own in (0, 2):
        net, x = small(cond_width=5, class_tokens=own), image()
        tokens, weights = torch.randn(2, 4, 5), torch.tensor([[1.0, 1, 0, 0], [1, 1, 1, 1]])
        out = net(x, T, Cond(tokens=tokens, weights=weights))
        alone = net(x[:1], T[:1], Cond(tokens=tokens[:1, :2]))
        torch.testing.assert_close(out[:1], alone, rtol=1e-4, atol=1e-5)
        other = tokens + torch.tensor([[0, 0, 9, 9], [0, 0, 0, 9]])[..., None]
        changed = net(x, T, Cond(tokens=other, weights=weights))
        torch.testing.assert_close(changed[0], out[0], rtol=0, atol=0)
        assert not torch.allclose(changed[1], out[1], atol=1e-3)


def test_a_weight_has_an_effect_although_tokens_are_normalised():
    """A larger one changes the image more, towards the size of the change by another word."""
    net, x = small(cond_width=5), image()
    tokens, ones = torch.randn(2, 4, 5), torch.ones(2, 4)

    def change(i: int, tokens: torch.Tensor, weight: float) -> float:
        weights = ones.clone()
        weights[:, i] = weight
        return float((net(x, T, Cond(tokens=tokens * weights[..., None], weights=weights)) - plain).detach().std())

    plain = net(x, T, Cond(tokens=tokens, weights=ones))
    torch.testing.assert_close(plain, net(x, T, Cond(tokens=tokens)))
    other = tokens.clone()
    other[:, 1] = torch.randn(2, 5)
    another_word = change(1, other, 1.0)
    assert change(1, tokens, 1.0) < 1e-5
    assert 0.1 * another_word < change(1, tokens, 1.5) < change(1, tokens, 3.0)


def test_a_size_that_is_no_multiple_of_the_patch():
    assert small(patch=3).settings.divisor == 3
    for kind in ("dit", "plain"):
        with pytest.raises(ValueError, match=r"^size 9×3 .* by 4; .* 8×4$"):
            small(kind, patch=4)(image(9, 3), T)


@cases(
    ("kind", "wrong", "message"),
    [
        ("dit", {"in_channels": 0}, "in_channels\n.*at least 1"),
        ("dit", {"heads": 3}, "heads is 3; it must divide 16"),
        ("dit", {"heads": 8}, "heads is 8; each needs an even number of channels, at least 4, .* has 2"),
        ("dit", {"width": 30}, "heads is 2; each needs an even number .* has 15"),
        ("dit", {"dropout": 1.0}, "dropout\n.*below 1"),
        ("dit", {"class_tokens": -1}, "class_tokens\n.*at least 0"),
        ("plain", {"width": 6}, "width is 6; it must be divisible by 4"),
        ("plain", {"cond_width": 5}, "cond_width is 5; it must be 16"),
        ("plain", {"class_tokens": 1}, "class_tokens\n.*not permitted"),
        ("dit", {"size": "M"}, "size\n"),
    ],
)
def test_settings_refused(kind, wrong, message):
    with pytest.raises(ValidationError, match=message):
        made(kind, **wrong)

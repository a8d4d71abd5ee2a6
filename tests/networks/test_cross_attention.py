"""The tokens of a condition in a U-Net: read wherever it attends, as a set, without their padding."""

import dataclasses
from typing import Any

import pytest
import torch

from cases import cases
from ddpm.config.dit import DiTSettings
from ddpm.config.network import UNetSettings, conditioned
from ddpm.core import Cond
from ddpm.networks import DiT, UNet
from ddpm.networks.cross_attention import Context, CrossAttention
from randomised import randomised

SMALL = UNetSettings(width=8, multipliers=(1, 2), blocks=1, head_width=4, cond_width=5, token_width=6)
LIGHT = {"norm": "layer", "upsample": "linear", "skips": "blocks", "stem": 4, "patch": 2, "attention": (4,)}
T = torch.tensor([3.0, 500.0])
X = torch.randn(2, 3, 8, 12, generator=torch.Generator().manual_seed(1))
VECTOR, TOKENS = torch.randn(2, 5), torch.randn(2, 4, 6)
MASK = torch.tensor([[True, True, False, False], [True] * 4])
COND = Cond(VECTOR, tokens=TOKENS, weights=MASK)
BLOCKS = {"down.1.blocks.0", "middle.0", "up.0.blocks.0", "up.0.blocks.1"}
"""Those with self-attention."""


def small(**changes: Any) -> UNet:
    """A small network, random also where a fresh one is zero."""
    return randomised(lambda: UNet(dataclasses.replace(SMALL, **changes)))


def dit() -> DiT:
    return randomised(lambda: DiT(DiTSettings(depth=2, width=16, heads=2, cond_width=6, class_tokens=2)))


def test_by_hand() -> None:
    attention = CrossAttention(8, 6, head_width=4)
    torch.nn.init.normal_(attention.out.weight)
    x = torch.randn(2, 8, 3, 5)
    # (B, C, N) or (B, C, L), then (B, heads, C / heads, …)
    q = torch.einsum("oc,bcn->bon", attention.q.weight, attention.norm(x).flatten(2)).reshape(2, 2, 4, 15)
    k, v = (torch.einsum("oe,ble->bol", w, TOKENS).reshape(2, 2, 4, 4) for w in attention.kv.weight.chunk(2))
    products = torch.einsum("bhcn,bhcl->bhnl", q, k).div(2.0)
    weights = products.masked_fill(~MASK[:, None, None], -torch.inf).softmax(-1)
    mixed = torch.einsum("bhnl,bhcl->bhcn", weights, v).reshape(2, 8, 15)
    expected = x + torch.einsum("oc,bcn->bon", attention.out.weight, mixed).reshape(x.shape)
    context = Context.of(Cond(tokens=TOKENS, weights=MASK), 6)
    assert context is not None
    torch.testing.assert_close(attention(x, context), expected, rtol=1e-5, atol=1e-5)


def test_where_there_is_self_attention_and_nowhere_else() -> None:
    names = set(small().state_dict())
    for kind in ("attention", "cross_attention"):
        assert {name.partition(f".{kind}.")[0] for name in names if f".{kind}." in name} == BLOCKS


def test_a_fresh_network_ignores_its_tokens() -> None:
    """It starts as the network without them: the same weights by the same names, but for those of cross-attention."""
    net, plain = small(), small(token_width=None)
    own = {name: w for name, w in net.state_dict().items() if ".cross_attention." not in name}
    plain.load_state_dict(own)
    for name, module in net.named_modules():
        if name.endswith("cross_attention.out"):
            for p in module.parameters():
                torch.nn.init.zeros_(p)
    assert torch.equal(net(X, T, COND), plain(X, T, Cond(VECTOR)))


@cases("made", [small, dit])
def test_tokens_are_a_set_without_padding(made: Any) -> None:
    net = made()
    vector = VECTOR if made is small else None
    out = net(X, T, Cond(vector, tokens=TOKENS, weights=MASK))
    order = torch.tensor([2, 0, 3, 1])
    shuffled = net(X, T, Cond(vector, tokens=TOKENS[:, order], weights=MASK[:, order]))
    torch.testing.assert_close(shuffled, out, rtol=1e-4, atol=1e-5)
    alone = net(X[:1], T[:1], Cond(None if vector is None else vector[:1], tokens=TOKENS[:1, :2]))
    torch.testing.assert_close(out[:1], alone, rtol=1e-4, atol=1e-5)
    other = TOKENS + torch.tensor([[0, 0, 9, 9], [0, 0, 0, 9]])[..., None]
    changed = net(X, T, Cond(vector, tokens=other, weights=MASK))
    assert torch.equal(changed[0], out[0])
    assert not torch.allclose(changed[1], out[1], atol=1e-3)


def test_every_parameter_matters() -> None:
    for changes in [{}, LIGHT]:
        net = small(**changes)
        net(X, T, COND).square().sum().backward()
        assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_any_number_of_axes_and_memory_format() -> None:
    for space, memory in [(1, None), (2, torch.channels_last), (3, torch.channels_last_3d)]:
        net, x = small(space=space), torch.randn(2, 3, *[8] * space)
        expected = net(x, T, COND)
        assert expected.shape == x.shape
        if memory is not None:
            out = net.to(memory_format=memory)(x.to(memory_format=memory), T, COND)
            assert out.is_contiguous(memory_format=memory)
            torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-5)


def test_checkpointing_keeps_output_and_gradients() -> None:
    def run(checkpoint: bool) -> list[torch.Tensor]:
        net, tokens = small(checkpoint=checkpoint), TOKENS.clone().requires_grad_()
        out = net(X, T, Cond(VECTOR, tokens=tokens, weights=MASK))
        out.square().mean().backward()
        return [out, tokens.grad, *(p.grad for p in net.parameters())]

    torch.testing.assert_close(run(True), run(False), rtol=0, atol=0)


def test_bfloat16() -> None:
    for changes in [{}, LIGHT]:
        net = small(**changes)
        expected = net(X, T, COND)
        with torch.autocast("cpu", torch.bfloat16):
            out = net(X, T, COND)
        assert out.dtype == torch.bfloat16
        error = (out.float() - expected).square().mean().sqrt() / expected.std()
        assert 0 < error < 0.03


def test_missing_and_unexpected_tokens() -> None:
    with pytest.raises(ValueError, match="requires tokens"):
        small()(X, T, Cond(VECTOR))
    with pytest.raises(ValueError, match="takes no tokens"):
        small(token_width=None)(X, T, COND)
    with pytest.raises(ValueError, match="token_width is 0"):
        small(token_width=0)


def test_settings_of_a_run_with_text() -> None:
    assert conditioned({"width": 8}, tokens=True) == {"cond_width": 8, "token_width": 8, "width": 8}
    assert conditioned({"cond_width": 4}, tokens=True) == {"cond_width": 4, "token_width": 4}
    assert conditioned({"token_width": None}, tokens=True)["token_width"] is None
    assert "token_width" not in conditioned({"width": 8})
    dit = conditioned({"kind": "dit", "size": "XS"}, tokens=True)
    assert DiTSettings(**dit).token_width == DiTSettings(**dit).cond_width == 256
    assert UNetSettings(**SMALL.encoder(None, 3, 10)).token_width is None

import torch
import torch.nn.functional as F

from cases import cases
from ddpm.networks.blocks import (
    Attention,
    Downsample,
    GroupNorm,
    LayerNorm,
    Upsample,
    attend,
    depth_to_space,
    space_to_depth,
)


@cases(("channels", "groups"), [(256, 32), (96, 32), (48, 16), (20, 4), (6, 2), (32, 16), (8, 4), (1, 1)])
def test_groups(channels, groups):
    assert GroupNorm(channels).groups == groups


@cases(("dtype", "rtol", "atol"), [(torch.bfloat16, 2**-7, 1e-5), (torch.float64, 0, 1e-12)])
def test_group_norm_is_wide(dtype, rtol, atol):
    """Numbers of the given dtype go in and out, and between them nothing is narrower than float32."""
    norm = GroupNorm(64)
    torch.nn.init.normal_(norm.weight)
    x = (5 + torch.randn(2, 64, 4, 4, dtype=torch.float64)).to(dtype)
    exact = F.group_norm(x.double(), 32, norm.weight.double(), norm.bias.double(), 1e-6)
    with torch.autocast("cpu", torch.bfloat16):
        out = norm(x)
    torch.testing.assert_close(out, exact.to(dtype), rtol=rtol, atol=atol)


@cases(("dtype", "rtol", "atol"), [(torch.bfloat16, 2**-7, 1e-5), (torch.float64, 0, 1e-12)])
def test_layer_norm_is_wide(dtype, rtol, atol):
    norm = LayerNorm(64)
    torch.nn.init.normal_(norm.weight)
    x = (5 + torch.randn(2, 64, 4, 4, dtype=torch.float64)).to(dtype)
    exact = F.layer_norm(x.double().movedim(1, -1), (64,), norm.weight.double(), norm.bias.double(), 1e-6)
    with torch.autocast("cpu", torch.bfloat16):
        out = norm(x)
    torch.testing.assert_close(out, exact.movedim(-1, 1).to(dtype), rtol=rtol, atol=atol)


def test_space_to_depth_is_pixel_unshuffle():
    x = torch.randn(2, 3, 6, 9)
    assert torch.equal(space_to_depth(x, 3), F.pixel_unshuffle(x, 3))


def test_depth_to_space_is_the_inverse():
    for size in [(12,), (4, 6), (4, 2, 6)]:
        x = torch.randn(2, 3, *size)
        packed = space_to_depth(x, 2)
        assert packed.shape == (2, 3 * 2 ** len(size), *[n // 2 for n in size])
        assert torch.equal(depth_to_space(packed, 2), x)


def test_attention_by_hand():
    attention = Attention(8, head_width=4)
    torch.nn.init.normal_(attention.out.weight)
    x = torch.randn(2, 8, 3, 5)
    # (B, C, N), then (B, heads, C / heads, N)
    q, k, v = (
        (torch.einsum("oc,bcn->bon", weight, attention.norm(x).flatten(2))).reshape(2, 2, 4, 15)
        for weight in attention.qkv.weight.chunk(3)
    )
    weights = torch.einsum("bhci,bhcj->bhij", q, k).div(2.0).softmax(-1)
    mixed = torch.einsum("bhij,bhcj->bhci", weights, v).reshape(2, 8, 15)
    expected = x + torch.einsum("oc,bcn->bon", attention.out.weight, mixed).reshape(x.shape)
    torch.testing.assert_close(attention(x), expected, rtol=1e-5, atol=1e-5)


def test_attention_in_bfloat16_is_that_in_float64():
    """Whichever way few and many positions take, the numbers and their gradients are the same up to rounding."""
    for positions in [16, 64, 65]:
        parts = torch.randn(3, 2, 2, positions, 8).bfloat16().requires_grad_()
        exact = F.scaled_dot_product_attention(*parts.double())
        with torch.autocast("cpu", torch.bfloat16):
            out = attend(*parts)
            with torch.no_grad():
                torch.testing.assert_close(attend(*parts), out, rtol=2**-6, atol=1e-2)
        assert out.dtype == torch.bfloat16
        torch.testing.assert_close(out.double(), exact, rtol=2**-6, atol=1e-2)
        grads = [torch.autograd.grad(y.sum(dtype=torch.float64), parts)[0] for y in (out, exact)]
        torch.testing.assert_close(*grads, rtol=2**-5, atol=2e-2)


@cases("dtype", [torch.float32, torch.float64])
def test_attention_is_never_narrowed_without_autocast(dtype):
    for positions in [16, 300]:
        q, k, v = torch.randn(3, 2, 2, positions, 8, dtype=dtype).requires_grad_()
        torch.testing.assert_close(attend(q, k, v), F.scaled_dot_product_attention(q, k, v), rtol=1e-6, atol=1e-6)


def test_resampling_by_hand():
    for space in [1, 2, 3]:
        x = torch.randn(1, 2, *[6] * space)
        down, up = Downsample(space, 2), Upsample(space, 2)
        for layer, shift in (down, 0), (up, 1):
            # A kernel that only copies channel 0 from the place at `shift`.
            torch.nn.init.zeros_(layer.conv.weight)
            layer.conv.weight.data[(0, 0, *[shift] * space)] = 1
        even = (slice(0, None, 2),) * space
        assert torch.equal(down(x)[:, 0], x[(slice(None), 0, *even)])
        # Every place is copied twice along each axis, so each other one is what it was.
        assert up(x).shape == (1, 2, *[12] * space)
        for start in (0, 1):
            assert torch.equal(up(x)[(slice(None), 0, *[slice(start, None, 2)] * space)], x[:, 0])

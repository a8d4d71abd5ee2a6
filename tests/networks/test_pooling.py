"""Attention pooling, beside its equation."""

import torch

from ddpm.networks.pooling import AttentionPool


def pool(head_width=None) -> AttentionPool:
    torch.manual_seed(0)
    net = AttentionPool(8, 3, head_width).double()
    with torch.no_grad():
        for p in net.parameters():
            p += 0.3 * torch.randn_like(p)
    return net


def test_one_head_is_the_softmax_of_inner_products():
    for size in [(5,), (2, 3), (2, 1, 3)]:
        net = pool()
        x = torch.randn(2, 8, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        for image, out in zip(x, net(x), strict=True):
            rows = image.flatten(1).T
            rows = torch.cat([rows.mean(0, keepdim=True), rows])
            key, value = (rows @ net.key_value.weight.T + net.key_value.bias).split(8, dim=1)
            query = net.query.weight @ rows[0] + net.query.bias
            share = (key @ query / 8**0.5).softmax(0)
            torch.testing.assert_close(out, net.out.weight @ (share @ value) + net.out.bias, rtol=0, atol=1e-12)


def test_the_order_of_the_positions_is_nothing_to_it():
    net = pool(head_width=4)
    x = torch.randn(2, 8, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(net(x.flip(2)), net(x), rtol=0, atol=1e-12)
    assert (pool()(x) - net(x)).abs().max() > 1e-3  # one head of 8 is not two of 4


def test_zero_until_trained():
    assert not AttentionPool(8, 3)(torch.randn(2, 8, 4, 4)).any()

import math

import torch

from ddpm.networks.embeddings import TimeEmbedding, sinusoid


def test_sinusoid_by_hand():
    row = sinusoid(torch.tensor([7.0], dtype=torch.float64), 6)[0]
    angles = [7.0, 7.0 / 100, 7.0 / 10_000]
    expected = [math.sin(a) for a in angles] + [math.cos(a) for a in angles]
    torch.testing.assert_close(row, torch.tensor(expected, dtype=torch.float64))


def test_sinusoid_is_computed_in_float32():
    for dtype in [torch.bfloat16, torch.float16, torch.float32]:
        t = torch.tensor([3.0, 250.0])
        assert torch.equal(sinusoid(t.to(dtype), 8), sinusoid(t, 8))


def test_low_precision_weights():
    embed = TimeEmbedding(8, 16).bfloat16()
    assert embed(torch.tensor([1.0, 2.0])).shape == (2, 16)
    assert embed(torch.tensor([1.0, 2.0])).dtype == torch.bfloat16

from itertools import pairwise

import pytest
import torch
from torch import nn

from ddpm.core.model import Model
from ddpm.training.ema import EMA


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor([1.0, -2.0]))
        self.b = nn.Parameter(torch.tensor(3.0))


def walk(model: Model, n: int) -> list[list[torch.Tensor]]:
    """n random sets of weights, each put into the model when it is asked for."""
    g = torch.Generator().manual_seed(0)
    return [[torch.randn(p.shape, generator=g, dtype=torch.float64) for p in model.parameters()] for _ in range(n)]


def put(model: Model, weights: list[torch.Tensor]) -> None:
    with torch.no_grad():
        for p, w in zip(model.parameters(), weights, strict=True):
            p.copy_(w)


def test_closed_form() -> None:
    """The average is Σ w_k (1 - d_k) Π_{j>k} d_j, and the start's weight is Π d_j, computed apart in float64."""
    for cap in [0.0, 0.5, 0.9999]:
        model = Model(Net().double())
        start = [p.detach().clone() for p in model.parameters()]
        ema = EMA(model, cap)
        sequence = walk(model, 40)
        for weights in sequence:
            put(model, weights)
            ema.update(model.parameters())

        decays = [min(cap, (1 + n) / (10 + n)) for n in range(40)]
        shares = []
        for k in range(40):
            share = 1 - decays[k]
            for d in decays[k + 1 :]:
                share *= d
            shares.append(share)
        first = 1.0
        for d in decays:
            first *= d
        assert first + sum(shares) == pytest.approx(1, abs=1e-12)
        for i, average in enumerate(ema.model.parameters()):
            expected = first * start[i] + sum(s * weights[i] for s, weights in zip(shares, sequence, strict=True))
            torch.testing.assert_close(average.detach(), expected, rtol=1e-12, atol=1e-12)
        assert ema.updates == 40


def test_decay_rises_from_a_tenth_to_its_cap() -> None:
    ema = EMA(Model(Net()), 0.999)
    decays = [ema.decay(n) for n in range(20_000)]
    assert decays[0] == 0.1
    assert all(a <= b for a, b in pairwise(decays))
    assert decays[8_980] < 0.999 == decays[8_990] == decays[-1]


def test_the_start_is_forgotten_within_a_few_steps() -> None:
    model = Model(Net())
    ema = EMA(model, 0.9999)
    put(model, [torch.zeros(2), torch.tensor(0.0)])
    for _ in range(20):
        ema.update(model.parameters())
    assert ema.model.net.b.item() < 3e-5  # of 3 at the start


def test_the_average_is_another_model_and_never_trains() -> None:
    model = Model(Net())
    ema = EMA(model, 0.9)
    assert not ema.model.training
    assert not any(p.requires_grad for p in ema.model.parameters())
    put(model, [torch.full((2,), 7.0), torch.tensor(7.0)])
    assert ema.model.net.b.item() == 3
    ema.update(model.parameters())
    assert all(p.grad is None for p in model.parameters())
    assert model.net.b.item() == 7

"""Cross-entropy at noised images, beside its equation."""

import math

import pytest
import torch

from ddpm.conditioning.one_hot import OneHot
from ddpm.core import Level, Parameterisation, prediction
from ddpm.core.parameterisation import UnitVariance
from ddpm.objectives.classification import Classification, correct

NOW = Level(*torch.tensor([[3.0, 7.0], [0.8, 0.28], [0.6, 0.96]], dtype=torch.float64))


def draw(seed):
    return torch.randn(2, 1, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("scaled", [False, True])
def test_the_logarithm_of_the_share_of_the_right_class(scaled):
    """Of what the network is shown: the noised image, scaled as the process scales it, and the level's t."""
    x0, eps, asked = draw(0), draw(1), []

    def net(x, t, cond=None):
        asked.append((x, t, cond))
        return x.flatten(1) * torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)

    ask = Parameterisation(prediction.eps, UnitVariance(0.5) if scaled else None)
    loss = Classification(ask)(net, x0, eps, NOW, NOW, OneHot(3)(torch.tensor([2, 0])))
    [(x, t, cond)] = asked
    assert cond is None
    assert t.tolist() == [3.0, 7.0]
    for i, (alpha, sigma, y) in enumerate([(0.8, 0.6, 2), (0.28, 0.96, 0)]):
        seen = alpha * x0[i] + sigma * eps[i]
        seen = seen / math.sqrt(alpha**2 * 0.25 + sigma**2) if scaled else seen
        torch.testing.assert_close(x[i], seen, rtol=0, atol=1e-12)
        a, b, c = (float(v) for v in seen.flatten())
        shares = [math.exp(a), math.exp(-2 * b), math.exp(3 * c)]
        assert float(loss[i]) == pytest.approx(-math.log(shares[y] / sum(shares)), abs=1e-12)


def test_who_knows_nothing_pays_log_k():
    loss = Classification(Parameterisation(prediction.eps))
    out = loss(lambda x, t, cond=None: torch.zeros(2, 5), draw(0), draw(1), NOW, NOW, OneHot(5).null(2))
    torch.testing.assert_close(out, torch.full((2,), math.log(5)))


def test_labels_are_needed():
    with pytest.raises(ValueError, match="is held against labels"):
        Classification(Parameterisation(prediction.eps))(lambda x, t, cond=None: x, draw(0), draw(1), NOW)


def test_the_likeliest_class_is_right_or_not():
    logits = torch.tensor([[0.1, 2.0, -1.0], [3.0, 0.0, 1.0], [0.0, 0.5, 1.0]])
    assert correct(logits, OneHot(3)(torch.tensor([1, 2, 2])).vector).tolist() == [1.0, 0.0, 1.0]

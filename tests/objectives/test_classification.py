"""Cross-entropy at noised images, beside its equation."""

import math

import pytest
import torch
from torch import nn

from cases import cases
from ddpm.core import Parameterisation, discrete, prediction
from ddpm.core.model import Model
from ddpm.core.parameterisation import UnitVariance
from ddpm.core.stream import RowStreams
from ddpm.objectives.classification import Classification, correct, cross_entropy
from ddpm.objectives.level_sampling import Uniform
from ddpm.objectives.noised import NoiseLevels

NOISE = NoiseLevels(discrete.cosine(10), Uniform(), dropout=1.0)
IMAGES = torch.tensor([[[[0], [90], [255]]], [[[10], [200], [30]]]], dtype=torch.uint8)
LABELS = torch.tensor([2, 0])


class Asked(nn.Module):
    """A network of three classes that keeps what it was asked."""

    def forward(self, x, t, cond=None):
        self.asked = (x, t, cond)
        return x.flatten(1) * torch.tensor([1.0, -2.0, 3.0], dtype=x.dtype)


def encode(images: torch.Tensor, streams: RowStreams) -> torch.Tensor:
    return images.double().movedim(-1, 1) / 127.5 - 1


@cases("scaled", [False, True])
def test_the_logarithm_of_the_share_of_the_right_class(scaled):
    """Of what the network is shown: the noised image, scaled as the process scales it, and the level's t."""
    ask = Parameterisation(prediction.eps, UnitVariance(0.5) if scaled else None)
    objective, net = Classification(NOISE, ask, encode), Asked()
    draws = objective.draws(RowStreams(3, 8, 2, range(2)), objective.history())
    loss = objective.losses(Model(net), IMAGES, {"label": LABELS}, draws)
    x0, eps, now = (
        encode(IMAGES, draws.streams),
        draws.streams.normal("noise", (1, 1, 3)),
        NOISE.schedule.levels(draws.timesteps),
    )
    x, t, cond = net.asked
    assert cond is None  # the labels are the target, and never seen or dropped
    assert t.tolist() == torch.as_tensor(now.t).tolist()
    assert len(set(draws.timesteps.tolist())) == 2
    for i, y in enumerate(LABELS.tolist()):
        alpha, sigma = float(now.alpha[i]), float(now.sigma[i])
        seen = alpha * x0[i] + sigma * eps[i]
        seen = seen / math.sqrt(alpha**2 * 0.25 + sigma**2) if scaled else seen
        torch.testing.assert_close(x[i], seen, rtol=0, atol=1e-12)
        a, b, c = (float(v) for v in seen.flatten())
        shares = [math.exp(a), math.exp(-2 * b), math.exp(3 * c)]
        assert float(loss[i]) == pytest.approx(-math.log(shares[y] / sum(shares)), abs=1e-12)


def test_who_knows_nothing_pays_log_k():
    torch.testing.assert_close(cross_entropy(torch.zeros(2, 5), LABELS), torch.full((2,), math.log(5)))


def test_the_likeliest_class_is_right_or_not():
    logits = torch.tensor([[0.1, 2.0, -1.0], [3.0, 0.0, 1.0], [0.0, 0.5, 1.0]])
    assert correct(logits, torch.tensor([1, 2, 2])).tolist() == [1.0, 0.0, 1.0]


def test_other_measures_are_of_the_same_logits():
    objective, net = Classification(NOISE, Parameterisation(prediction.eps), encode, correct), Asked()
    draws = objective.draws(RowStreams(3, 8, 2, range(2)), None)
    found = objective.losses(Model(net), IMAGES, {"label": LABELS}, draws)
    logits = Asked()(net.asked[0], None)
    assert torch.equal(found, correct(logits, LABELS))
    assert torch.equal(objective.losses(Model(net), IMAGES, {"label": logits.argmax(1)}, draws), torch.ones(2))

"""Autoguidance: a line through the answers of two denoisers."""

import torch

from cases import cases
from ddpm.core import Cond, Denoised, Level
from ddpm.core.score import score
from ddpm.guidance import Autoguidance, ByItself, Projected

LEVEL = Level(5.0, 0.8, 0.6)
COND = Cond(torch.tensor([[1.0], [2.0], [3.0]], dtype=torch.float64))
X = torch.randn(3, 2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


class Times:
    """Answers a multiple of x, which is its mix of variances, too, and keeps what it was asked."""

    def __init__(self, factor):
        self.factor, self.calls = factor, []

    def __call__(self, x, level, cond=None):
        self.calls.append((x, level, cond))
        return Denoised(self.factor * x, torch.full_like(x, self.factor))


@cases("cond", [None, COND])
def test_both_are_asked_the_same_once(cond):
    """At scale 0 the weak one alone answers, at 1 the good one, and its mix of variances is kept."""
    for scale in [0.0, 0.5, 1.0, 3.0]:
        good, weak = Times(0.7), Times(0.2)
        out = Autoguidance(good, weak, scale)(X, LEVEL, cond)
        torch.testing.assert_close(out.x0, (0.2 + scale * 0.5) * X, rtol=0, atol=1e-12)
        assert torch.equal(out.var_mix, torch.full_like(X, 0.7))
        for asked in (good, weak):
            [(x, level, told)] = asked.calls
            assert x is X
            assert level == LEVEL
            assert told is cond


@cases("scale", [0.5, 2.0])
def test_the_score_is_that_of_a_product_of_densities(scale):
    """``p_good^scale / p_worse^(scale - 1)``, of Gaussians a Gaussian whose precision and mean can be written down."""

    def gaussian(mean, var):
        gain = 0.8 * var / (0.64 * var + 0.36)
        return lambda x, level, cond=None: Denoised(mean + gain * (x - 0.8 * mean))

    good, weak = gaussian(0.5, 0.3), gaussian(0.2, 0.9)
    x = torch.linspace(-2, 2, 7, dtype=torch.float64).reshape(7, 1, 1)
    # of x at this level: variance alpha² · spread + sigma², mean alpha · mean
    p, q = 1 / (0.64 * 0.3 + 0.36), 1 / (0.64 * 0.9 + 0.36)
    wanted = -scale * p * (x - 0.8 * 0.5) + (scale - 1) * q * (x - 0.8 * 0.2)
    torch.testing.assert_close(score(Autoguidance(good, weak, scale), x, LEVEL), wanted, rtol=0, atol=1e-12)


def test_other_rules_take_the_same_two():
    out = Autoguidance(Times(0.7), Times(0.2), 3.0, Projected())(X, LEVEL)
    # the two answers are multiples of each other: nothing of their difference is across
    torch.testing.assert_close(out.x0, 0.7 * X, rtol=0, atol=1e-12)


def test_the_worse_one_encodes_conditions_in_its_own_way():
    """Each model has learned other vectors for the classes."""
    weak = Times(0.2)
    own = ByItself(weak, lambda raw, n: Cond(10.0 * raw["label"][:, None] + n, raw=raw))
    Autoguidance(Times(0.7), own, 2.0)(X, LEVEL, Cond(COND.vector, raw={"label": torch.tensor([2, 0, 1])}))
    assert weak.calls[0][2].vector.tolist() == [[23.0], [3.0], [13.0]]
    for cond in (None, COND):  # what is not known raw is passed on
        weak.calls.clear()
        own(X, LEVEL, cond)
        assert weak.calls[0][2] is cond


def test_the_weak_network_encodes_interpolated_conditions_itself():
    def encode(raw, n):
        return Cond(10 * raw["label"], raw=raw)

    def cond(*labels):
        raw = {"label": torch.tensor(labels, dtype=torch.float64)[:, None]}
        return Cond(raw["label"], raw=raw)

    share = torch.tensor([0.0, 0.25, 1.0], dtype=torch.float64)
    between = cond(1.0, 2.0, 3.0).lerp(cond(5.0, 6.0, 7.0), share)
    several = between.rows(slice(0, 1)).cat(between.rows(torch.tensor([1, 2])))
    for one in (between, several):
        weak = Times(0.2)
        ByItself(weak, encode)(X, LEVEL, one)
        [(_, _, told)] = weak.calls
        torch.testing.assert_close(told.vector, 10 * one.vector)

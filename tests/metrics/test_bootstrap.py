import pytest
import torch

from ddpm.metrics.bootstrap import counts, interval
from ddpm.metrics.estimate import Estimate


def test_counts_are_resamples():
    """A sample is taken once on average, within 5 standard errors, with a multinomial's variance 1 - 1 / n."""
    n, replicates = 50, 2000
    drawn = counts(n, replicates, seed=3)
    assert drawn.shape == (replicates, n)
    assert (drawn.sum(1) == n).all()
    assert (drawn == drawn.round()).all()
    assert (drawn.mean(0) - 1).abs().max() < 5 / replicates**0.5
    assert drawn.var(0).mean() == pytest.approx(1 - 1 / n, rel=0.02)


def test_counts_are_a_function_of_the_seed():
    torch.manual_seed(0)
    first = counts(20, 5, seed=1)
    torch.rand(7)
    assert counts(20, 5, seed=1).equal(first)
    assert counts(20, 9, seed=1)[:5].equal(first)
    assert not counts(20, 5, seed=2).equal(first)


def test_the_interval_has_the_replicates_spread_and_the_values_place():
    replicates = torch.linspace(100, 140, 41)
    found = interval(7.0, replicates)
    value, low, high = found.value, found.low, found.high
    assert value == 7
    assert low == pytest.approx(7 - 19)
    assert high == pytest.approx(7 + 19)
    assert interval(7.0, replicates, least=0, most=10) == Estimate(value=7, low=0, high=10)


def test_the_interval_of_a_mean():
    """Of n normal numbers: 1.96 standard errors to each side, within 5 % for 20,000 replicates."""
    n = 400
    x = torch.randn(n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = interval(float(x.mean()), counts(n, 20_000).double() @ x / n)
    value, low, high = found.value, found.low, found.high
    error = float(x.std(correction=0)) / n**0.5
    assert value - low == pytest.approx(1.96 * error, rel=0.05)
    assert high - value == pytest.approx(1.96 * error, rel=0.05)


def test_one_replicate_has_no_spread():
    assert interval(2.0, torch.tensor([5.0])) == Estimate(value=2, low=2, high=2)

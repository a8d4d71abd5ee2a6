import pytest
import torch

from ddpm.metrics.estimate import Estimate, interval, resamples, wilson


@pytest.mark.parametrize(("share", "n"), [(0.0, 10), (0.3, 50), (1.0, 7)])
def test_wilson(share, n):
    """Its ends are the rates p at which ``share`` is 1.96 standard errors ``(p (1 - p) / n)^½`` away."""
    found = wilson(share, n)
    value, low, high = found.value, found.low, found.high
    assert value == share
    for end in (low, high):
        assert (share - end) ** 2 == pytest.approx(1.959963984540054**2 * end * (1 - end) / n, abs=1e-12)
    assert (low, high) == pytest.approx((0, high) if share == 0 else (low, 1) if share == 1 else (low, high), abs=1e-12)
    assert low < high


def test_a_share_of_none():
    with pytest.raises(ValueError, match="at least 1 image, not"):
        wilson(0.0, 0)


def test_counts_are_resamples():
    """A sample is taken once on average, within 5 standard errors, with a multinomial's variance 1 - 1 / n."""
    n, replicates = 50, 2000
    drawn = resamples(n, replicates, seed=3)
    assert drawn.shape == (replicates, n)
    assert (drawn.sum(1) == n).all()
    assert (drawn == drawn.round()).all()
    assert (drawn.mean(0) - 1).abs().max() < 5 / replicates**0.5
    assert drawn.var(0).mean() == pytest.approx(1 - 1 / n, rel=0.02)


def test_counts_are_a_function_of_the_seed():
    torch.manual_seed(0)
    first = resamples(20, 5, seed=1)
    torch.rand(7)
    assert resamples(20, 5, seed=1).equal(first)
    assert resamples(20, 9, seed=1)[:5].equal(first)
    assert not resamples(20, 5, seed=2).equal(first)


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
    found = interval(float(x.mean()), resamples(n, 20_000).double() @ x / n)
    value, low, high = found.value, found.low, found.high
    error = float(x.std(correction=0)) / n**0.5
    assert value - low == pytest.approx(1.96 * error, rel=0.05)
    assert high - value == pytest.approx(1.96 * error, rel=0.05)


def test_one_replicate_has_no_spread():
    assert interval(2.0, torch.tensor([5.0])) == Estimate(value=2, low=2, high=2)

import pytest

from ddpm.metrics.estimate import wilson


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

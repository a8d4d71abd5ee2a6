"""The Fréchet distance against formulas, 50-digit arithmetic and other code."""

import mpmath
import pytest
import scipy.linalg
import torch
from torchmetrics.image.fid import FrechetInceptionDistance

from ddpm.metrics.estimate import resamples
from ddpm.metrics.frechet import Normal, distance, estimate, fit, floor


def normal(n: int, d: int, seed: int = 0, spread: float = 1.0, shift: float = 0.0) -> torch.Tensor:
    """(n, d) normal features whose standard deviations fall from 1 to spread along mixed axes."""
    generator = torch.Generator().manual_seed(seed)
    axes = torch.linalg.qr(torch.randn(d, d, generator=generator, dtype=torch.float64)).Q
    scale = torch.logspace(0, float(torch.tensor(spread).log10()), d, dtype=torch.float64)
    return (torch.randn(n, d, generator=generator, dtype=torch.float64) * scale) @ axes + shift


def exact(x: torch.Tensor, y: torch.Tensor) -> float:
    """The distance in 50 digits, by the eigenvalues of ``S_x^½ S_y S_x^½``."""
    with mpmath.workdps(50):
        means, covs = [], []
        for values in (x, y):
            m = mpmath.matrix(values.double().tolist())
            mean = [mpmath.fsum(m[i, j] for i in range(m.rows)) / m.rows for j in range(m.cols)]
            centred = mpmath.matrix([[m[i, j] - mean[j] for j in range(m.cols)] for i in range(m.rows)])
            means.append(mean)
            covs.append(centred.T * centred / (m.rows - 1))
        values, axes = mpmath.eigsy(covs[0])
        root = axes * mpmath.diag([mpmath.sqrt(max(v, 0)) for v in values]) * axes.T
        between = mpmath.eigsy(root * covs[1] * root, eigvals_only=True)
        cross = mpmath.fsum(mpmath.sqrt(max(v, 0)) for v in between)
        shift = mpmath.fsum((p - q) ** 2 for p, q in zip(*means, strict=True))
        trace = mpmath.fsum(c[i, i] for c in covs for i in range(c.rows))
        return float(shift + trace - 2 * cross)


class Given(torch.nn.Module):
    """torchmetrics' extractor, for features that are there already."""

    num_features = 24

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def between(x: torch.Tensor, y: torch.Tensor) -> float:
    return distance(fit(x), fit(y))


def test_a_shift():
    """Equal covariances: the squared distance of the means."""
    x = normal(300, 5)
    move = torch.tensor([1.0, -2.0, 0.0, 0.5, 3.0], dtype=torch.float64)
    assert between(x, x + move) == pytest.approx(float(move.square().sum()), rel=1e-12)


def test_a_scale():
    """``x`` and ``s x`` with mean 0: ``(s - 1)² tr S``."""
    x = normal(300, 5)
    x -= x.mean(0)
    for s in (3.0, 1 + 1e-6):
        assert between(x, s * x) == pytest.approx((s - 1) ** 2 * float(x.var(0).sum()), rel=1e-8)


def test_one_dimension():
    """``(m_x - m_y)² + (s_x - s_y)²``."""
    x, y = normal(50, 1, 0), 4 * normal(70, 1, 1) + 2
    wanted = float((x.mean() - y.mean()) ** 2 + (x.std() - y.std()) ** 2)
    assert between(x, y) == pytest.approx(wanted, rel=1e-12)


def test_covariances_that_commute():
    """The same axes: the sum of ``(s_x - s_y)²`` over them, also where one of the two is 0."""
    a, b = torch.tensor([1.0, 2, 0, 5]).double(), torch.tensor([3.0, 0, 0, 5]).double()
    mean = torch.zeros(4).double()
    assert distance(Normal(mean, a.diag()), Normal(mean, b.diag())) == pytest.approx(8, rel=1e-12)


@pytest.mark.parametrize(("n", "d"), [(400, 20), (15, 40)])
def test_equal_sets_are_at_0(n, d):
    x = normal(n, d)
    assert 0 <= between(x, x) < 1e-24
    assert 0 <= between(x, x.flip(0)) < 1e-24


@pytest.mark.parametrize(("n", "m", "d"), [(200, 300, 16), (20, 300, 40), (20, 12, 40)])
def test_symmetric_and_blind_to_rotations_and_order(n, m, d):
    x, y = normal(n, d, 0), normal(m, d, 1, spread=0.1, shift=0.3)
    wanted = between(x, y)
    turn = torch.linalg.qr(torch.randn(d, d, generator=torch.Generator().manual_seed(2), dtype=torch.float64)).Q
    assert between(y, x) == pytest.approx(wanted, rel=1e-12)
    assert between(x @ turn, y @ turn) == pytest.approx(wanted, rel=1e-12)
    assert between(x.flip(0), y) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize(("n", "d"), [(100, 12), (10, 30)])
def test_fitted_in_parts(n, d):
    x = normal(n, d, spread=1e-3, shift=50.0)
    whole = fit(x)
    torch.testing.assert_close(whole.factor.mT @ whole.factor, x.mT.cov(), rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(whole.mean, x.mean(0), rtol=1e-13, atol=0)
    for chunk in (1, 7, n - 1):
        parts = fit(x, chunk)
        assert parts.factor.shape[0] <= d
        torch.testing.assert_close(parts.mean, whole.mean, rtol=1e-13, atol=0)
        torch.testing.assert_close(parts.factor.mT @ parts.factor, x.mT.cov(), rtol=1e-10, atol=1e-14)
        assert distance(parts, whole) < 1e-20


def test_agrees_with_other_code_where_covariances_are_well_conditioned():
    x, y = normal(500, 24, 0), normal(700, 24, 1, spread=0.3, shift=0.1)
    (m, c), (n, d) = ((v.mean(0), v.mT.cov()) for v in (x, y))
    root = scipy.linalg.sqrtm((c @ d).numpy()).real.trace()
    wanted = float((m - n).square().sum() + c.trace() + d.trace() - 2 * root)
    assert between(x, y) == pytest.approx(wanted, rel=1e-10)
    other = FrechetInceptionDistance(feature=Given()).set_dtype(torch.float64)
    other.update(x, real=True)
    other.update(y, real=False)
    assert between(x, y) == pytest.approx(float(other.compute()), rel=1e-10)


@pytest.mark.parametrize(
    ("n", "m", "d", "spread"),
    [(40, 40, 8, 1.0), (40, 40, 8, 1e-6), (5, 40, 12, 1.0), (5, 40, 12, 1e-6), (5, 6, 12, 1.0), (5, 4, 12, 1e-6)],
    ids=["plain", "condition 1e12", "n < D", "n < D, condition 1e12", "both n < D", "both, condition 1e12"],
)
def test_agrees_with_50_digits(n, m, d, spread):
    x, y = normal(n, d, 0, spread, 0.2).float(), normal(m, d, 1, spread).float()
    assert between(x, y) == pytest.approx(exact(x, y), rel=1e-12)


@pytest.mark.parametrize(("n", "d"), [(30, 6), (6, 12)])
def test_near_0_the_digits_stay(n, d):
    """A distance of 1e-8 of the variance, full rank or not."""
    x = normal(n, d, spread=1e-3)
    y = x + 1e-4 * normal(n, d, 1, spread=1e-3)
    assert exact(x, y) < 1e-7
    assert between(x, y) == pytest.approx(exact(x, y), rel=1e-9)


def test_refuses_what_has_no_covariance():
    with pytest.raises(ValueError, match="at least 2 samples, not 1"):
        fit(torch.zeros(1, 3))
    with pytest.raises(ValueError, match="finite"):
        fit(torch.tensor([[0.0, 1], [torch.nan, 2], [1, 1]]))


@pytest.mark.parametrize(("n", "d"), [(200, 10), (60, 80)])
def test_replicates_are_the_distances_of_resamples(n, d):
    """The interval is that of the distances of sets that are really drawn again."""
    x, y = normal(n, d, 0, spread=0.1).float(), normal(500, d, 1, shift=0.1).float()
    reference, drawn = fit(y), resamples(n, 30)
    distances = torch.tensor([distance(fit(x.repeat_interleave(c.long(), 0)), reference) for c in drawn])
    found = estimate(x, reference, drawn)
    value, low, high = found.value, found.low, found.high
    assert value == distance(fit(x), reference)
    assert low < value < high
    ends = distances.double().quantile(torch.tensor([0.025, 0.975]).double()) - distances.double().mean() + value
    torch.testing.assert_close(torch.tensor([low, high]).double(), ends, rtol=1e-5, atol=0)


def test_the_interval_is_that_of_fresh_sets():
    """Its width is 3.92 standard deviations of the distances of 180 fresh sets of 300, within 25 %."""
    data = normal(59_000, 8, spread=0.3)
    reference = fit(data[:5000])
    sets = (1.2 * data[5000:] + 0.2).reshape(180, 300, 8)
    spread = torch.tensor([distance(fit(fresh), reference) for fresh in sets]).std()
    found = estimate(sets[0], reference, resamples(300, 200))
    low, high = found.low, found.high
    assert high - low == pytest.approx(3.92 * float(spread), rel=0.25)


def test_floor_is_what_real_images_score():
    """For unit normal data ``(1/n + 1/m) D (D + 5) / 4`` on average, to first order: within 10 % over 100 splits."""
    d, n, m = 6, 400, 600
    x = normal(n + m, d)
    found = [floor(x, n, seed) for seed in range(100)]
    assert sum(found) / 100 == pytest.approx((1 / n + 1 / m) * d * (d + 5) / 4, rel=0.1)
    assert floor(x, n, 0) == found[0] != found[1]


def test_no_floor_where_too_few_are_real():
    x = normal(1000, 6)
    assert floor(x, 500) is not None
    assert floor(x, 501) is None
    assert floor(x, 1) is None

"""Precision, recall, density and coverage: the papers' toy cases, and the definitions word for word."""

import math

import numpy as np
import pytest
import torch

from ddpm.metrics import manifold
from ddpm.metrics.estimate import resamples
from ddpm.metrics.manifold import estimate, radii


def normal(n: int, d: int, seed: int = 0, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) + shift


def shares(generated: torch.Tensor, real: torch.Tensor, neighbours: tuple[int, int] = (3, 5)) -> list[float]:
    """Precision, recall, density, coverage."""
    return [e.value for e in estimate(generated, real, resamples(len(generated), 1), neighbours)]


def brute(generated: torch.Tensor, real: torch.Tensor, neighbours: tuple[int, int], left: np.ndarray) -> list[float]:
    """By the definitions, with numpy's norms; ``left`` are the generated images that a resample holds, with repeats."""
    y, x = generated.double().numpy(), real.double().numpy()
    small, large = neighbours

    def reach(z: np.ndarray, k: int) -> np.ndarray:
        return np.sort(np.linalg.norm(z[:, None] - z, axis=2), 1)[:, k]  # each lies nearest to itself

    d = np.linalg.norm(x[:, None] - y[left], axis=2)
    inside = d <= reach(x, large)[:, None]
    return [
        (d <= reach(x, small)[:, None]).any(0).mean(),
        (d <= reach(y, small)[left]).any(1).mean(),
        inside.sum() / (large * len(left)),
        inside.any(1).mean(),
    ]


def test_by_hand():
    """Real 0, 1, 3 and generated 2, 7, 8 on the line, k = 1: borders count, as 2 is at distance 1 from 1 and 3."""
    real, generated = torch.tensor([[0.0], [1], [3]]), torch.tensor([[2.0], [7], [8]])
    # radii: 1, 1, 2 of the real, 5, 1, 1 of the generated
    assert shares(generated, real, (1, 1)) == pytest.approx([1 / 3, 1, 2 / 3, 2 / 3])


@pytest.mark.parametrize(("n", "m", "d"), [(40, 60, 3), (60, 25, 3), (30, 50, 40)])
def test_the_definitions(n, m, d, monkeypatch):
    """Precision and density of resamples are theirs; recall and coverage move by what each image adds to all others."""
    real, generated = normal(m, d, 0), 0.9 * normal(n, d, 1, shift=0.3)
    for tile in (2048, 7):
        monkeypatch.setattr(manifold, "TILE", tile)
        for neighbours in ((3, 5), (1, 2), (6, 4)):
            drawn, everything = resamples(n, 4), np.arange(n)
            monkeypatch.setattr(manifold, "interval", lambda value, replicates, *_: (value, replicates))
            found = estimate(generated, real, drawn, neighbours)
            value = brute(generated, real, neighbours, everything)
            assert [v for v, _ in found] == pytest.approx(value)
            added = np.array(value) - [brute(generated, real, neighbours, np.delete(everything, i)) for i in range(n)]
            for i, c in enumerate(drawn.numpy().astype(int)):
                wanted = brute(generated, real, neighbours, np.repeat(everything, c))
                wanted[1::2] = (np.array(value) + (c - 1) @ added)[1::2]
                assert [float(r[i]) for _, r in found] == pytest.approx(wanted)


def test_equal_sets():
    """All is covered; each point lies in its own ball and, on average, in those of k others: density (k + 1) / k."""
    x = normal(300, 8)
    assert shares(x.flip(0), x) == pytest.approx([1, 1, 6 / 5, 1])


def test_disjoint_sets():
    assert shares(normal(100, 8, 1, shift=100), normal(100, 8)) == [0, 0, 0, 0]


def test_a_mode_that_is_missing():
    """Half of the real images are of a mode that is never drawn: nothing of it is recalled or covered."""
    real = torch.cat([normal(400, 4), normal(400, 4, 1, shift=50)])
    precision, recall, density, coverage = shares(normal(800, 4, 2), real)
    assert precision > 0.9
    assert 0.45 < recall <= 0.5
    assert 0.8 < density < 1.2
    assert 0.45 < coverage <= 0.5


def test_a_real_outlier_makes_precision_but_no_density():
    """Its ball is vast: all images drawn around it are precise, and each lies in that one ball of 101."""
    real = torch.cat([normal(100, 4), torch.full((1, 4), 30.0)])
    precision, recall, density, coverage = shares(normal(50, 4, 1, shift=30), real)
    assert precision == 1
    assert recall < 0.02
    assert density == pytest.approx(1 / 5)
    assert coverage == pytest.approx(1 / 101)


@pytest.mark.parametrize(("n", "m"), [(100, 100), (60, 150)])
def test_expectations_for_the_same_distribution(n, m):
    """Naeem et al. 2020: density 1, and coverage ``1 - (n-1)…(n-k) / ((m+n-1)…(m+n-k))`` for n real and m
    generated images, whatever the distribution; within 4 standard errors over 200 pairs of sets."""
    found = torch.tensor([shares(normal(m, 3, 2 * i), normal(n, 3, 2 * i + 1)) for i in range(200)])
    error = found.std(0) / 200**0.5
    coverage = 1 - math.prod((n - i) / (m + n - i) for i in range(1, 6))
    assert abs(found[:, 2].mean() - 1) < 4 * error[2]
    assert abs(found[:, 3].mean() - coverage) < 4 * error[3]


def test_a_copy_lies_at_distance_0():
    """Real images that come six times have balls of radius 0, and only copies of them lie inside."""
    for shift in [0.0, 1000.0]:
        real = normal(20, 300, shift=shift)
        six = real.repeat(6, 1)
        assert (radii(six, six.double().mean(0), (3, 5)).sqrt() < 1e-4 * (2 * 300) ** 0.5).all()
        precision, _, density, coverage = shares(real[:10], six)
        assert (precision, density, coverage) == pytest.approx((1, 6 / 5, 0.5))
        precision, _, density, coverage = shares(real[:10] + 1e-3, six)
        assert (precision, density, coverage) == (0, 0, 0)


def test_radii_are_distances_to_neighbours():
    x = normal(50, 6, shift=10)
    distances = torch.cdist(x.double(), x.double()).sort(1).values
    for tile in (1, 16, 64):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(manifold, "TILE", tile)
            found = radii(x, x.double().mean(0), (4, 1))
        torch.testing.assert_close(found.sqrt(), distances[:, [4, 1]].mT)


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_the_interval_is_that_of_fresh_sets(shift):
    """Its width is 3.92 standard deviations over 200 fresh sets, within 20 %; but that of recall and coverage, where it
    is the spread of a jackknife, is too wide rather than too narrow (Efron & Stein 1981), here by up to a third."""
    reference = normal(400, 4)

    def found(seed: int, replicates: int) -> torch.Tensor:
        found = estimate(normal(200, 4, seed, shift), reference, resamples(200, replicates))
        return torch.tensor([[e.value, e.low, e.high] for e in found])

    spread = torch.stack([found(i, 1)[:, 0] for i in range(1, 201)]).std(0)
    width = torch.stack([found(i, 200) @ torch.tensor([0.0, -1, 1]) for i in range(1, 11)]).mean(0)
    precision, recall, density, coverage = (width / (3.92 * spread)).tolist()
    assert (precision, density) == pytest.approx((1, 1), rel=0.2)
    assert 0.9 < recall < 1.4
    assert 0.9 < coverage < 1.4


def test_refuses_fewer_samples_than_neighbours():
    with pytest.raises(ValueError, match=r"5 neighbours .*more than 5 samples, not 5"):
        estimate(normal(5, 2), normal(5, 2), resamples(5, 1))
    with pytest.raises(ValueError, match=r"3 neighbours .*more than 3 samples, not 3"):
        estimate(normal(3, 2), normal(6, 2), resamples(3, 1))

"""The kernel distance against its definition, other code and sets that are really drawn again."""

import pytest
import torch
from torchmetrics.image.kid import KernelInceptionDistance

from ddpm.metrics import kernel
from ddpm.metrics.estimate import resamples
from ddpm.metrics.kernel import estimate


def normal(n: int, d: int, seed: int, spread: float = 1.0, shift: float = 0.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    scale = torch.logspace(0, float(torch.tensor(spread).log10()), d)
    return torch.randn(n, d, generator=generator) * scale + shift


def value(x: torch.Tensor, y: torch.Tensor, **options: int) -> float:
    return estimate(x, y, resamples(len(x), 1), **options).value


def k(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a.double() @ b.double().mT / a.shape[1] + 1) ** 3


def off_diagonal(matrix: torch.Tensor) -> torch.Tensor:
    return (matrix.sum() - matrix.trace()) / (len(matrix) * (len(matrix) - 1))


class Given(torch.nn.Module):
    """torchmetrics' extractor, for features that are there already."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_by_hand():
    """x = 0, 1 and y = 1, 2, 0: pairs within x 1; within y 27, 1, 1; between 1, 1, 1 and 8, 27, 1."""
    x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[1.0], [2.0], [0.0]])
    assert value(x, y) == pytest.approx(1 + 29 / 3 - 2 * 39 / 6, rel=1e-14)


@pytest.mark.filterwarnings("ignore:Metric `Kernel Inception Distance`")
@pytest.mark.parametrize(
    ("d", "spread", "shift"),
    [(8, 1.0, 0.0), (200, 1.0, 0.5), (16, 1e-6, 0.0)],
    ids=["plain", "n < D", "ill-conditioned"],
)
def test_agrees_with_torchmetrics(d, spread, shift):
    n = 60
    x, y = normal(n, d, 0, spread, shift), 1.3 * normal(n, d, 1, spread, 0.2)
    other = KernelInceptionDistance(feature=Given(), subsets=1, subset_size=n).set_dtype(torch.float64)
    other.update(x.double(), real=False)
    other.update(y.double(), real=True)
    assert value(x, y) == pytest.approx(float(other.compute()[0]), rel=1e-9)


def test_equal_sets():
    """``(2 / n)(mean over i ≠ j of k_ij - mean of k_ii)``: below 0, as each sample meets itself in the other set."""
    x = normal(50, 6, 0)
    matrix = k(x, x)
    wanted = 2 / 50 * float(off_diagonal(matrix) - matrix.diagonal().mean())
    assert value(x, x) == pytest.approx(wanted, rel=1e-12)
    assert wanted < 0


def test_unbiased():
    """0 on average for the same distribution, over 200 pairs of sets, within 4 standard errors; sizes may differ."""
    found = torch.tensor([value(normal(40, 5, 2 * i), normal(25, 5, 2 * i + 1)) for i in range(200)])
    assert found.mean().abs() < 4 * found.std() / 200**0.5
    moved = torch.tensor([value(normal(40, 5, 2 * i), normal(25, 5, 2 * i + 1, shift=0.5)) for i in range(200)])
    assert moved.mean() > 20 * found.std() / 200**0.5


def test_tiles_do_not_show(monkeypatch):
    x, y, drawn = normal(70, 6, 0), normal(90, 6, 1, shift=0.2), resamples(70, 5)
    whole = estimate(x, y, drawn).model_dump()
    for tile in (1, 32, 64):
        monkeypatch.setattr(kernel, "TILE", tile)
        assert estimate(x, y, drawn).model_dump() == pytest.approx(whole, rel=1e-9)


def test_blocks():
    """The pairs within blocks, weighed by the blocks' sizes, and all pairs between the sets."""
    x, y = normal(50, 4, 0), normal(31, 4, 1, shift=0.3)
    parts = kernel._blocks(50, 20), kernel._blocks(31, 20)
    assert [[len(rows) for rows in blocks] for blocks in parts] == [[17, 17, 16], [16, 15]]
    assert torch.cat(parts[0]).sort().values.equal(torch.arange(50))
    within = [
        sum(len(rows) / len(z) * off_diagonal(k(z[rows], z[rows])) for rows in blocks)
        for z, blocks in zip((x, y), parts, strict=True)
    ]
    assert value(x, y, block=20) == pytest.approx(float(within[0] + within[1] - 2 * k(x, y).mean()), rel=1e-12)


@pytest.mark.parametrize("block", [60, 20])
def test_replicates_expect_the_value(block, monkeypatch):
    """Their mean over 4,000 resamples is the value, within 4 standard errors."""
    seen = []
    monkeypatch.setattr(kernel, "interval", lambda value, replicates: seen.append((value, replicates)))
    estimate(normal(60, 5, 0, shift=0.2), normal(80, 5, 1), resamples(60, 4000), block)
    [(value, replicates)] = seen
    assert abs(replicates.mean() - value) < 4 * replicates.std() / 4000**0.5


def test_a_replicate_is_the_sum_over_pairs_of_different_images(monkeypatch):
    seen = []
    monkeypatch.setattr(kernel, "interval", lambda value, replicates: seen.append(replicates))
    n, drawn = 12, resamples(12, 6)
    x, y = normal(n, 5, 0), normal(20, 5, 1)
    estimate(x, y, drawn)
    mean = k(x, y).mean(1)
    h = k(x, x) - mean[:, None] - mean + off_diagonal(k(y, y))
    h.fill_diagonal_(0)
    wanted = torch.stack([c @ h @ c / (n - 1) ** 2 for c in drawn.double()])
    torch.testing.assert_close(seen[0], wanted, rtol=1e-10, atol=1e-12)


def test_the_interval_is_that_of_fresh_sets():
    """Its width is 3.92 standard deviations of the distances of 200 fresh sets of 200, within 25 %."""
    y = normal(1000, 6, 0)
    spread = torch.tensor([value(1.2 * normal(200, 6, i, shift=0.2), y) for i in range(1, 201)]).std()
    widths = [
        (e := estimate(1.2 * normal(200, 6, i, shift=0.2), y, resamples(200, 100))).high - e.low for i in (1, 2, 3)
    ]
    assert sum(widths) / 3 == pytest.approx(3.92 * float(spread), rel=0.25)


def test_refuses_too_few():
    with pytest.raises(ValueError, match=r"at least 2 samples .*not 1 and 3"):
        estimate(torch.zeros(1, 2), torch.zeros(3, 2), torch.ones(1, 1))

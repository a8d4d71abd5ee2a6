import pytest
import torch
from torchmetrics.image.inception import InceptionScore

from ddpm.metrics.estimate import resamples
from ddpm.metrics.inception_score import estimate


def logits(n: int, classes: int, seed: int = 0, scale: float = 2.0) -> torch.Tensor:
    return scale * torch.randn(n, classes, generator=torch.Generator().manual_seed(seed))


def value(given: torch.Tensor) -> float:
    return estimate(given, resamples(len(given), 1)).value


class Given(torch.nn.Module):
    """torchmetrics' classifier, for logits that are there already."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_all_alike_score_1():
    assert value(logits(1, 10).repeat(50, 1)) == pytest.approx(1, rel=1e-12)
    assert value(torch.zeros(50, 10)) == pytest.approx(1, rel=1e-12)


def test_sure_and_of_every_class_scores_the_number_of_classes():
    """Also where probabilities are 0 in float64."""
    assert value(2000 * torch.eye(7).repeat(3, 1)) == pytest.approx(7, rel=1e-12)


def test_two_groups_of_images():
    """Sure of one class for a share q, of another for the rest: ``exp`` of the entropy of q."""
    q = torch.tensor(0.3, dtype=torch.float64)
    sure = 1000 * torch.eye(5)
    wanted = (torch.special.entr(q) + torch.special.entr(1 - q)).exp()
    assert value(torch.cat([sure[:1].repeat(30, 1), sure[3:4].repeat(70, 1)])) == pytest.approx(
        float(wanted), rel=1e-12
    )


@pytest.mark.parametrize(("n", "classes"), [(60, 5), (30, 1000)])
@pytest.mark.filterwarnings("ignore:Metric `InceptionScore`", "ignore:std")
def test_agrees_with_torchmetrics(n, classes):
    given = logits(n, classes)
    other = InceptionScore(feature=Given(), splits=1).set_dtype(torch.float64)
    other.update(given.double())
    assert value(given) == pytest.approx(float(other.compute()[0]), rel=1e-10)


def test_chunks_do_not_show(monkeypatch):
    given, drawn = logits(100, 6), resamples(100, 9)
    whole = estimate(given, drawn).model_dump()
    monkeypatch.setattr("ddpm.metrics.inception_score.CHUNK", 7)
    assert estimate(given, drawn).model_dump() == pytest.approx(whole, rel=1e-12)


def test_replicates_are_the_scores_of_resamples():
    given, drawn = logits(80, 6), resamples(80, 40)
    scores = torch.tensor([value(given.repeat_interleave(c.long(), 0)) for c in drawn]).double()
    found = estimate(given, drawn)
    low, high = found.low, found.high
    ends = scores.quantile(torch.tensor([0.025, 0.975]).double()) - scores.mean() + value(given)
    assert (low, high) == pytest.approx(tuple(ends.tolist()), rel=1e-6)


def test_the_interval_is_that_of_fresh_sets():
    """Its width is 3.92 standard deviations of the scores of 300 fresh sets, within 20 %."""
    spread = torch.tensor([value(logits(300, 8, i)) for i in range(300)]).std()
    widths = [(e := estimate(logits(300, 8, i), resamples(300, 300))).high - e.low for i in range(5)]
    assert sum(widths) / 5 == pytest.approx(3.92 * float(spread), rel=0.2)

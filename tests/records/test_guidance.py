"""What a record of a search says, and that its choice is the rule's."""

from pathlib import Path

from ddpm.config.guidance import GuidanceConfig, Guide
from ddpm.config.sampling import SamplingConfig
from ddpm.metrics.estimate import Estimate
from ddpm.records.guidance import Average, GuidanceRecord, GuidanceTrial, words
from ddpm.records.score import FeaturesRecord, ReferenceRecord


def trial(guidance: GuidanceConfig | None, frechet: float, recall: float, change: tuple[float, float]) -> GuidanceTrial:
    share = Estimate(value=recall, low=recall, high=recall)
    return GuidanceTrial(
        guidance=guidance,
        frechet=Estimate(value=frechet, low=frechet - 1, high=frechet + 1),
        change=Estimate(value=sum(change) / 2, low=change[0], high=change[1]),
        precision=share,
        recall=share,
        coverage=share,
        seconds=1.5,
    )


def record(*trials: GuidanceTrial) -> GuidanceRecord:
    return GuidanceRecord(
        weights="0123456789abcdef",
        n=512,
        seed=2**63 + 1,
        sampling=SamplingConfig.of(guidance=1.5),
        features=FeaturesRecord(name="embedded", hash="0123456789abcdef", resize="no", dim=416),
        reference=ReferenceRecord(source="photos", hash="0123456789abcdef", images=5000),
        trials=trials,
        chosen=None,
    )


FIRST = trial(GuidanceConfig(scale=1.5), 4.1, 0.43, (0, 0))
BETTER = trial(GuidanceConfig(scale=3.5, interval=(0.0, 5.0)), 2.9, 0.41, (-1.6, -0.9))
NARROWER = trial(GuidanceConfig(scale=5.0, interval=(0.0, 5.0)), 2.0, 0.39, (-2.5, -1.5))
UNSURE = trial(GuidanceConfig(scale=4.0, interval=(0.0, 5.0)), 2.5, 0.42, (-3.3, 0.1))


def test_the_choice() -> None:
    """The lowest distance but for those that lose recall, or whose change may be noise."""
    assert record(FIRST, NARROWER, BETTER, UNSURE).best == BETTER
    assert record(FIRST, NARROWER, UNSURE).best == FIRST


def test_its_line_and_its_file(tmp_path: Path) -> None:
    found = record(FIRST, BETTER)
    assert found.line == (
        "guidance 3.5, r below 5: Fréchet distance 2.9 instead of 4.1 at 1.5, recall 0.41 instead of 0.43; "
        "from 512 samples"
    )
    kept = record(FIRST, UNSURE).line
    assert "1.5" in kept
    assert "instead" not in kept
    found.write(tmp_path / "guidance.json")
    assert GuidanceRecord.read(tmp_path / "guidance.json") == found


def test_the_average_in_the_line() -> None:
    own = FIRST.model_copy(update={"change": BETTER.change.model_copy(update={"low": 0, "high": 0})})
    longer = BETTER.model_copy(update={"length": 0.15})
    found = record(FIRST).model_copy(update={"lengths": (own, UNSURE.model_copy(update={"length": 0.04}))})
    assert "; average of the weights kept; from" in found.line
    average = Average(length=0.15, weights="0123")
    found = found.model_copy(update={"lengths": (own, longer), "average": average})
    assert "; average of length 0.15: 2.9 instead of 4.1; from" in found.line
    assert found.suits(found.weights)
    assert found.suits("0123")
    assert not found.suits("other")


def test_words() -> None:
    early = Guide(checkpoint="step-000000024", weights="0123456789abcdef")
    assert words(None) == "1"
    assert words(GuidanceConfig(scale=2.0, interval=(0.2, 5.0))) == "2, r from 0.2 to 5"
    assert words(GuidanceConfig(scale=1.4, away_from=early)) == "1.4, away from step-000000024"

"""The search, on curves that are made up: where it looks, and what it chooses."""

import math
from collections.abc import Callable

import pytest

from ddpm.config.guidance import GuidanceConfig, Guide
from ddpm.evaluation.guidance_search import FINEST, MOST, search
from ddpm.metrics.estimate import Estimate
from ddpm.records.guidance import GuidanceTrial, best, scale_of

EARLY = Guide(checkpoint="step-000000001", weights="0123456789abcdef")
OWN = GuidanceConfig(scale=1.5)
Curve = Callable[[GuidanceConfig | None], float]


def exactly(value: float) -> Estimate:
    return Estimate(value=value, low=value, high=value)


def trials(
    distance: Curve,
    recall: Curve = lambda guidance: 0.5,
    first: GuidanceConfig | None = OWN,
    guide: Guide | None = None,
    labels: bool = True,
) -> list[GuidanceTrial]:
    """A search without noise."""

    def measure(guidance: GuidanceConfig | None) -> GuidanceTrial:
        share, value = exactly(recall(guidance)), distance(guidance)
        assert guidance is None or guidance.scale != 1, "no guidance is measured once"
        return GuidanceTrial(
            guidance=guidance,
            frechet=exactly(value),
            change=exactly(value - distance(first)),
            precision=share,
            recall=share,
            coverage=share,
            seconds=0.0,
        )

    return search(measure, first, guide, labels=labels)


def valley(lowest: float) -> Curve:
    """A distance with its minimum at a scale."""
    return lambda guidance: 1 + math.log(scale_of(guidance) / lowest) ** 2


@pytest.mark.parametrize("lowest", [1.0, 1.1, 1.3, 1.7, 2.0, 2.6, 3.3, 4.1, 5.7, 7.0, 8.0])
@pytest.mark.parametrize("first", [None, GuidanceConfig(scale=1.15), OWN, GuidanceConfig(scale=6.0)])
def test_the_scale_is_the_nearest_of_the_finest(lowest: float, first: GuidanceConfig | None) -> None:
    """Half a step of the last refinement to either side, and the rounding to two digits."""
    found = trials(valley(lowest), first=first)
    assert abs(math.log(scale_of(best(found).guidance) / lowest)) <= math.log(FINEST) / 2 + 0.035
    assert found[0].guidance == first
    assert len(found) <= 14
    assert len({trial.guidance for trial in found}) == len(found)


def test_scales_stay_in_their_range() -> None:
    falling = trials(lambda guidance: -scale_of(guidance))
    assert scale_of(best(falling).guidance) == MOST
    rising = trials(scale_of)
    assert best(rising).guidance is None
    for found in (falling, rising):
        assert all(1 <= scale_of(trial.guidance) <= MOST for trial in found)


def test_recall_is_kept() -> None:
    """The distance falls up to scale 5; recall is 0.03 below the first at scale 3."""
    found = trials(valley(5.0), lambda guidance: 0.5 - 0.03 * math.log2(scale_of(guidance) / 1.5))
    chosen = best(found)
    assert chosen.recall.value >= 0.47
    assert 2.5 <= scale_of(chosen.guidance) <= 3
    lower = [trial for trial in found if trial.frechet.value < chosen.frechet.value]
    assert lower
    assert all(trial.recall.value < 0.47 for trial in lower)


def test_a_change_must_show() -> None:
    """A lower distance whose paired interval reaches 0 leaves the run's own guidance."""
    found = trials(valley(4.0))
    assert scale_of(best(found).guidance) > 3
    unsure = [t.model_copy(update={"change": Estimate(value=t.change.value, low=-9, high=0.01)}) for t in found]
    assert best(unsure).guidance == OWN


@pytest.mark.parametrize(("below", "chosen"), [(2.0, (0.0, 2.0)), (6.0, (0.0, 5.0))])
def test_intervals_are_narrowed_while_that_helps(below: float, chosen: tuple[float, float]) -> None:
    """Guidance at noise above ``below`` does harm, below it good."""

    def distance(guidance: GuidanceConfig | None) -> float:
        high = guidance.interval[1] if guidance is not None and guidance.interval is not None else 50.0
        return valley(2.0)(guidance) + 0.5 * math.log(high / below) ** 2

    found = trials(distance)
    interval = best(found).guidance.interval
    assert interval == chosen
    tried = [trial.guidance.scale for trial in found if trial.guidance and trial.guidance.interval == interval]
    assert min(tried) < best(found).guidance.scale < max(tried), "the scale is looked for again"
    harmful = trials(lambda g: valley(2.0)(g) + (1 if g is not None and g.interval else 0))
    assert best(harmful).guidance.interval is None
    assert sum(trial.guidance is not None and trial.guidance.interval is not None for trial in harmful) == 2


def test_other_options_of_the_guidance_stay() -> None:
    own = GuidanceConfig(scale=1.5, away_from="cat", rescale=0.7, interval=(0.2, 5.0))
    found = trials(valley(3.0), first=own)
    guided = [trial.guidance for trial in found if trial.guidance is not None]
    assert {(g.away_from, g.rescale, g.interval) for g in guided} == {("cat", 0.7, (0.2, 5.0))}


@pytest.mark.parametrize("labels", [True, False])
def test_away_from_a_checkpoint(labels: bool) -> None:
    """Chosen only if it is better; the only kind without labels."""

    def distance(guidance: GuidanceConfig | None) -> float:
        away = guidance is not None and guidance.guide == EARLY
        return valley(1.4)(guidance) - (gain if away else 0.0)

    for gain in (0.2, -0.2):
        found = trials(distance, first=OWN if labels else None, guide=EARLY, labels=labels)
        chosen = best(found).guidance
        if gain > 0:
            assert chosen is not None
            assert chosen.guide == EARLY
            assert 1.2 <= chosen.scale <= 1.7
        else:
            assert chosen is None or chosen.guide is None
        if not labels:
            assert all(t.guidance is None or t.guidance.guide == EARLY for t in found)

"""Scores to put into a run."""

from typing import Any

from ddpm.config import SamplingConfig
from ddpm.score import (
    Accuracy,
    Colour,
    Copy,
    FeaturesRecord,
    Frechet,
    Interval,
    Measure,
    Memorisation,
    ReferenceRecord,
    Samples,
    Score,
)

MEASURE = Measure(
    n=64,
    features=FeaturesRecord(name="small", hash="f", resize="none", dim=8),
    reference=ReferenceRecord(source="digits", hash="r", images=89),
    size=(8, 8),
    mode="L",
)


def around(value: float) -> Interval:
    return Interval(value=value, low=0.9 * value, high=1.1 * value)


def make_score(
    weights: str | None, frechet: float = 12.0, images: int = 192, measure: Measure = MEASURE, **how: Any
) -> Score:
    """A score with every part that a score can have."""
    return Score(
        made_by="ddpm 0",
        measure=measure,
        samples=Samples(
            source="run",
            hash="s",
            weights=weights,
            images_seen=images,
            seconds=1.0,
            seed=3,
            labels="reference",
            sampling=SamplingConfig(**{"steps": 10} | how),
        ),
        frechet=Frechet(value=frechet, low=frechet - 1, high=frechet + 1, floor=2.5),
        kid=around(0.0123),
        precision=around(0.5),
        recall=around(0.25),
        density=around(0.9),
        coverage=around(0.75),
        inception_score=around(4.0),
        accuracy=Accuracy(value=0.5, real=0.875, by_class={"0": 0.25, "1": 0.75}),
        colour=Colour(mean=(0.25,), std=(0.5,), reference_mean=(0.5,), reference_std=(0.25,)),
        memorisation=Memorisation(
            source="digits",
            images=1708,
            copies=3,
            rate=Interval(value=3 / 64, low=0.016, high=0.129),
            threshold=0.4,
            held_out=around(0.02),
            median=0.91,
            held_out_median=0.97,
            closest=(Copy(sample="00007.png", training="3/<b>.png", distance=0.125, copied=True, places=(7, 3)),),
        ),
        copy_rate=3 / 64,
        notes=("few samples",),
    )

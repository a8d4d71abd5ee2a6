"""Scores to put into a run."""

from collections.abc import Mapping, Sequence
from typing import Any

from ddpm.config.guidance import GuidanceConfig
from ddpm.config.likelihood import Likelihood
from ddpm.config.sampling import SamplingConfig
from ddpm.metrics.estimate import Estimate
from ddpm.records.guidance import GuidanceRecord, GuidanceTrial
from ddpm.records.likelihood import BitsRecord, Levels
from ddpm.records.score import (
    Accuracy,
    ColourStats,
    Copy,
    FeaturesRecord,
    Frechet,
    Measurement,
    Memorisation,
    ReferenceRecord,
    Samples,
    Score,
)
from ddpm.records.sweep import Cell, FrechetBasis, SweepRecord
from ddpm.records.tuning import TunedGrid, TunedRecord

MEASURE = Measurement(
    n=64,
    features=FeaturesRecord(name="small", hash="f", resize="none", dim=8),
    reference=ReferenceRecord(source="digits", hash="r", images=89),
    size=(8, 8),
    mode="L",
)


def around(value: float) -> Estimate:
    return Estimate(value=value, low=0.9 * value, high=1.1 * value)


def make_score(
    weights: str | None, frechet: float = 12.0, images: int = 192, measure: Measurement = MEASURE, **how: Any
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
            sampling=SamplingConfig.of(**({} if "grid" in how else {"steps": 10}) | how),
        ),
        frechet=Frechet(value=frechet, low=frechet - 1, high=frechet + 1, floor=2.5),
        kid=around(0.0123),
        precision=around(0.5),
        recall=around(0.25),
        density=around(0.9),
        coverage=around(0.75),
        inception_score=around(4.0),
        accuracy=Accuracy(value=0.5, real=0.875, by_class={"0": 0.25, "1": 0.75}),
        colour=ColourStats(mean=(0.25,), std=(0.5,), reference_mean=(0.5,), reference_std=(0.25,)),
        memorisation=Memorisation(
            source="digits",
            images=1708,
            copies=3,
            rate=Estimate(value=3 / 64, low=0.016, high=0.129),
            threshold=0.4,
            held_out=around(0.02),
            median=0.91,
            held_out_median=0.97,
            closest=(Copy(sample="00007.png", training="3/<b>.png", distance=0.125, copied=True, places=(7, 3)),),
        ),
        copy_rate=3 / 64,
        notes=("few samples",),
    )


def make_bits(weights: str, steps: int | None = 3, **changed: Any) -> BitsRecord:
    """Bits of two images: a bound by three terms, or of the ODE where there are no steps."""
    parts: dict[str, Any] = {"calls": 450.0}
    if steps is not None:
        levels = Levels(timestep=(10.0, 5.0, 1.0), pairs=(1, 1, 1), bits=(0.125, 0.5, 2.0), x0_mse=(0.1, 0.01, 0.001))
        parts = {"calls": float(steps), "levels": levels}
        parts |= {"prior": 0.25, "kl": 0.625, "decoder": 2.0}
    made = BitsRecord(
        made_by="ddpm 0",
        run="run",
        weights=weights,
        images_seen=192,
        data=ReferenceRecord(source="digits", hash="r", images=89),
        held_out=True,
        n=2,
        size=(8, 8),
        mode="L",
        labels=False,
        how=Likelihood(method="bound", seed=0, clip=True, steps=steps, variance="small")
        if steps
        else Likelihood(method="ode", seed=0, clip=False, probes=1, tolerance=1e-5),
        mean=2.875,
        stderr=0.125,
        names=("0", "1"),
        bits=(2.75, 3.0),
        **parts,
    )
    return made.model_copy(update=changed)


def searched(
    weights: str, how: SamplingConfig, found: Sequence[tuple[GuidanceConfig | None, float, float]]
) -> GuidanceRecord:
    """A search for guidance with these distances and recalls, the last of which was chosen."""
    trials = [
        GuidanceTrial(
            guidance=guidance,
            frechet=around(frechet),
            change=Estimate(value=frechet - found[0][1], low=frechet - found[0][1], high=frechet - found[0][1]),
            precision=around(0.5),
            recall=around(recall),
            coverage=around(0.75),
            seconds=1.0,
        )
        for guidance, frechet, recall in found
    ]
    return GuidanceRecord(
        weights=weights,
        n=MEASURE.n,
        seed=3,
        sampling=how,
        features=MEASURE.features,
        reference=MEASURE.reference,
        trials=tuple(trials),
        chosen=found[-1][0],
    )


def made_sweep(weights: str, distances: Mapping[SamplingConfig, float], measure: Measurement = MEASURE) -> SweepRecord:
    """A sweep that measured these distances."""
    cells = [Cell(sampling=how, evaluations=how.steps, frechet=around(frechet)) for how, frechet in distances.items()]
    basis = FrechetBasis(n=measure.n, features=measure.features, reference=measure.reference, floor=2.5)
    return SweepRecord(
        made_by="ddpm 0",
        run="run",
        weights=weights,
        seed=0,
        n=1,
        labels=(),
        solutions=(),
        cells=tuple(cells),
        quality=basis,
    )


def tuning(weights: str, *found: SamplingConfig) -> TunedRecord:
    """The result of tuning that found these settings."""
    grids = [TunedGrid(sampling=how, start="", usual=0.2, untuned=0.1, tuned=0.05) for how in found]
    return TunedRecord(weights=weights, images=1, seed=0, reference=SamplingConfig(), grids=tuple(grids))

"""What a score.json holds, and what is refused as one."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ddpm.config.sampling import SamplingConfig
from ddpm.metrics.estimate import Estimate
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
from ddpm.system.errors import InputError
from refusal import refuses


def around(value: float) -> Estimate:
    return Estimate(value=value, low=value - 1, high=value + 1)


SMALL = Score(
    made_by="ddpm 0",
    measure=Measurement(
        n=64,
        features=FeaturesRecord(name="small", hash="f", resize="none", dim=8),
        reference=ReferenceRecord(source="reál", hash="r", images=100),
        size=(8, 12),
        mode="RGB",
    ),
    samples=Samples(source="photos", hash="s"),
    frechet=Frechet(value=1 / 3, low=0.1, high=1e300),
    kid=around(-1e-17),
    precision=around(0.5),
    recall=around(0.5),
    density=around(1.5),
    coverage=around(0.5),
    colour=ColourStats(mean=(0.1, 0.2, 0.3), std=(1, 1, 1), reference_mean=(0, 0, 0), reference_std=(0.5, 0.5, 0.5)),
)
FULL = SMALL.model_copy(
    update={
        "samples": Samples(
            source="run",
            hash="s",
            weights="w",
            images_seen=192,
            seconds=0.1,
            seed=-3,
            labels="reference",
            sampling=SamplingConfig.of(solver="ddim", steps=7, eta=0.5),
        ),
        "frechet": Frechet(value=1, low=0, high=2, floor=0.5),
        "inception_score": around(3),
        "accuracy": Accuracy(value=0.5, real=1, by_class={"a cat": 0.25}),
        "memorisation": Memorisation(
            source="photos",
            images=90,
            copies=1,
            rate=around(1 / 64),
            threshold=0.2,
            held_out=around(0),
            median=0.9,
            held_out_median=0.8,
            closest=(Copy(sample="1.png", training="a/2.png", distance=0.1, copied=True, places=(1, 2)),),
        ),
        "copy_rate": 1 / 64,
        "notes": ("few",),
    }
)


@pytest.mark.parametrize("score", [SMALL, FULL], ids=["small", "full"])
def test_what_is_written_is_read(score: Score, tmp_path: Path) -> None:
    path = tmp_path / "score.json"
    path.write_text(score.to_json(), encoding="utf-8")
    assert Score.read(path) == score
    assert Score.read(path).to_json() == score.to_json()


def test_the_keys_that_programs_look_for() -> None:
    tree = json.loads(FULL.to_json())
    assert list(tree) == [
        *("format", "made_by", "measure", "samples", "frechet", "kid", "precision", "recall", "density", "coverage"),
        *("inception_score", "accuracy", "colour", "memorisation", "copy_rate", "notes"),
    ]
    assert tree["format"] == 2
    assert set(tree["measure"]) == {"n", "features", "reference", "size", "mode", "neighbours"}
    assert set(tree["frechet"]) == {"value", "low", "high", "floor"}
    assert tree["copy_rate"] == tree["memorisation"]["rate"]["value"]


def test_metrics_that_are_there() -> None:
    usual = ["frechet", "kid", "precision", "recall", "density", "coverage"]
    assert list(SMALL.headline()) == usual
    assert list(FULL.headline()) == [*usual, "inception_score"]
    assert FULL.headline()["frechet"] is FULL.frechet


def test_a_score_never_changes() -> None:
    with pytest.raises(ValidationError):
        SMALL.measure.n = 3  # type: ignore[misc]


def changed(**change: Any) -> bytes:
    return json.dumps(json.loads(SMALL.to_json()) | change).encode()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"3", b"\xff\xfe", b"{}", changed(format=1), changed(more=1), changed(kid=None), b"\x89PNG"],
)
def test_what_is_no_score(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "score.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"score\.json.*; (run|use a file that was)") as e:
        Score.read(path)
    assert "\n" not in str(e.value)


def test_where_no_score_is(tmp_path: Path) -> None:
    with refuses("missing"):
        Score.read(tmp_path / "nothing.json")
    with refuses("unreadable"):
        Score.read(tmp_path)

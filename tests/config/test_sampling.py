import math

import pytest
from pydantic import ValidationError

from ddpm.config.sampling import Guide, SamplingConfig


def test_sampling_settings_are_complete() -> None:
    assert SamplingConfig().model_dump() == {
        "solver": "unipc-2",
        "steps": 20,
        "grid": "trailing",
        "eta": None,
        "churn": None,
        "tolerance": None,
        "temperature": None,
        "guidance": 1.0,
        "negative": None,
        "guide_with": None,
        "classifier": None,
        "classifier_form": None,
        "classifier_weights": None,
        "guidance_interval": None,
        "guidance_rescale": None,
        "guidance_parallel": None,
        "guidance_norm": None,
        "clip": True,
        "threshold": None,
        "precision": None,
        "size": None,
        "whole": None,
    }


def test_settings_of_before_the_newer_options_can_be_read() -> None:
    old = '{"solver":"ddim","steps":7,"grid":"trailing","eta":0.5,"guidance":2.0,"clip":false}'
    assert SamplingConfig.model_validate_json(old) == SamplingConfig(
        solver="ddim", steps=7, eta=0.5, guidance=2.0, clip=False
    )


@pytest.mark.parametrize(
    "given",
    [
        {"negative": "cat"},
        {"guide_with": {"checkpoint": "step-000000008", "weights": "abc"}},
        {"guidance_interval": (0.2, 5.0)},
        {"guidance_rescale": 0.7},
        {"guidance_parallel": 0.0},
        {"guidance_norm": 3.0},
    ],
)
def test_options_of_guidance(given: dict[str, object]) -> None:
    """They survive the way through JSON, and are refused where nothing is guided."""
    how = SamplingConfig.model_validate({"guidance": 2.0, **given})
    assert SamplingConfig.model_validate_json(how.model_dump_json()) == how
    assert how.model_dump_json() != SamplingConfig(guidance=2.0).model_dump_json()
    with pytest.raises(ValidationError, match=f"{next(iter(given))} has no effect without guidance"):
        SamplingConfig.model_validate(given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"guidance_interval": (5.0, 0.2)}, "low first, not 5.0 0.2"),
        ({"guidance_interval": (1.0, 1.0)}, "low first, not 1.0 1.0"),
        ({"guidance_interval": (-1.0, 1.0)}, "low first, not -1.0 1.0"),
        ({"guidance_interval": (0.0, float("inf"))}, "low first, not 0.0 inf"),
        ({"guidance_rescale": 0.0}, "above 0 and at most 1, not 0.0"),
        (
            {"negative": "a", "guide_with": {"checkpoint": "s", "weights": "w"}},
            "two things to guide away from",
        ),
        ({"threshold": 0.9, "clip": False}, "threshold is a way of clipping, and clip is off"),
        ({"threshold": 0.0}, "above 0 and at most 1, not 0.0"),
        ({"threshold": 1.1}, "above 0 and at most 1, not 1.1"),
        ({"guidance_parallel": 1.0}, "at least 0 and below 1, not 1.0"),
        ({"guidance_parallel": -0.1}, "at least 0 and below 1, not -0.1"),
        ({"guidance_norm": 0.0}, "above 0 and finite, not 0.0"),
        ({"guidance_norm": float("inf")}, "above 0 and finite, not inf"),
        ({"guidance_rescale": 1.5}, "above 0 and at most 1, not 1.5"),
    ],
)
def test_guidance_that_makes_no_sense(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        SamplingConfig.model_validate({"guidance": 2.0, **given})


FLOATS = {
    "eta": {"solver": "ddim"},
    "churn": {"solver": "edm"},
    "tolerance": {"solver": "adaptive"},
    "temperature": {"solver": "ancestral"},
    "guidance": {},
    "classifier": {},
    "guidance_rescale": {"guidance": 2.0},
    "guidance_parallel": {"guidance": 2.0},
    "guidance_norm": {"guidance": 2.0},
    "threshold": {},
}
"""Every setting that is a number, with what it takes to have an effect."""


@pytest.mark.parametrize("name", FLOATS)
def test_what_is_not_finite(name: str) -> None:
    for value in [math.nan, math.inf, -math.inf]:
        with pytest.raises(ValidationError, match=f"{name} must be .*, not {value}"):
            SamplingConfig.model_validate({**FLOATS[name], name: value})


def test_all_settings_that_are_numbers_are_tried() -> None:
    fields = SamplingConfig.model_fields.items()
    assert {name for name, field in fields if field.annotation in (float, float | None)} == set(FLOATS)


@pytest.mark.parametrize("interval", [(math.nan, 5.0), (0.2, math.nan)])
def test_an_interval_of_what_is_no_number(interval: tuple[float, float]) -> None:
    with pytest.raises(ValidationError, match="guidance_interval must be two ratios"):
        SamplingConfig(guidance=2.0, guidance_interval=interval)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"eta": 0.5, "solver": "euler"}, "eta is an option of ddim and euler-ancestral, not of euler"),
        ({"churn": 1.0, "solver": "unipc-2"}, "churn is an option of edm, not of unipc-2"),
        ({"churn": 1.0, "eta": 0.5}, "eta is an option of ddim and euler-ancestral, not of unipc-2"),
        ({"tolerance": 0.1, "solver": "edm"}, "tolerance is an option of adaptive, not of edm"),
        ({"churn": -1.0, "solver": "edm"}, "churn must be at least 0 and finite, not -1.0"),
        ({"churn": float("inf"), "solver": "edm"}, "churn must be at least 0 and finite, not inf"),
        ({"tolerance": 0.0, "solver": "adaptive"}, "tolerance must be above 0 and finite, not 0.0"),
        ({"tolerance": float("nan"), "solver": "adaptive"}, "tolerance must be above 0 and finite, not nan"),
        ({"temperature": 0.5, "solver": "heun"}, "temperature is an option of sde-dpm..-2m and .*, not of heun"),
        ({"temperature": 0.5, "solver": "ddim"}, "no effect, as ddim draws no noise; give eta above 0"),
        ({"temperature": 0.5, "eta": 0.0, "solver": "ddim"}, "no effect, as ddim draws no noise; give eta above 0"),
        ({"temperature": 0.5, "churn": 0.0, "solver": "edm"}, "as edm draws no noise; give churn above 0"),
        ({"temperature": -1.0, "solver": "ancestral"}, "temperature must be at least 0 and finite, not -1.0"),
    ],
)
def test_options_of_other_solvers_and_values_that_make_no_sense(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        SamplingConfig.model_validate(given)


def test_short():
    assert SamplingConfig(solver="ddim").short == "ddim20"
    assert SamplingConfig(solver="unipc-3", steps=20).short == "unipc-3x20"


def test_words():
    assert SamplingConfig(guidance=1.5).words == "unipc-2, 20 steps, trailing grid, guidance 1.5"
    assert SamplingConfig(steps=1).words == "unipc-2, 1 step, trailing grid"
    assert SamplingConfig(precision="bf16").words == "unipc-2, 20 steps, trailing grid, bf16"
    assert SamplingConfig(guidance=1.5).told(True) == "unipc-2, 20 steps, trailing grid, guidance 1.5"
    assert SamplingConfig(guidance=1.5).told(False) == "unipc-2, 20 steps, trailing grid"
    worse = Guide(checkpoint="step-1", weights="abc")
    assert SamplingConfig(guidance=1.5, guide_with=worse).told(False).endswith("guidance 1.5")
    assert SamplingConfig(solver="unipc-2", grid=(1000.0, 99.123)).words == "unipc-2, 2 steps, at 1000, 99.12"


@pytest.mark.parametrize(
    ("given", "solver"),
    [
        ({}, "unipc-2"),
        ({"eta": 0.5}, "ddim"),
        ({"churn": 3.0}, "edm"),
        ({"tolerance": 0.1}, "adaptive"),
        ({"temperature": 0.9}, "sde-dpm++-2m"),
        ({"temperature": 0.9, "eta": 1.0}, "ddim"),
        ({"temperature": 0.9, "solver": "ancestral"}, "ancestral"),
    ],
)
def test_an_option_of_other_solvers_names_one(given: dict[str, object], solver: str) -> None:
    assert SamplingConfig.model_validate(given).solver == solver

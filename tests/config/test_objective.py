import pytest
from pydantic import ValidationError

from ddpm.config.objective import ObjectiveConfig


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"weighting": "snr", "gamma": 3.0}, "gamma is an option of the weightings min-snr and p2, not of snr"),
        ({"weighting": "p2", "gamma": 0.0}, "gamma must be above 0 and finite, not 0.0"),
        ({"levels": "stratified", "mean": 1.0}, "mean is an option of log-normal and logit-normal levels"),
        ({"levels": "logit-normal", "std": float("inf")}, "std must be above 0 and finite, not inf"),
        ({"levels": "logit-normal", "mean": float("nan")}, "mean must be finite, not nan"),
        ({"loss": "vlb", "share": 0.1}, "share is an option of the hybrid loss, not of vlb"),
        ({"loss": "hybrid", "share": -1.0}, "share must be above 0 and finite, not -1.0"),
        (
            {"loss": "vlb", "weighting": "p2"},
            "the bound weighs its levels itself: weighting p2 belongs to simple or hybrid",
        ),
        ({"loss": "vlb", "levels": "logit-normal"}, "logit-normal levels would give the bound other weights"),
    ],
)
def test_nonsense_is_refused_with_its_reason(given, said):
    with pytest.raises(ValidationError, match=said):
        ObjectiveConfig(**given)


@pytest.mark.parametrize(
    "given",
    [
        {"loss": "vlb", "levels": "importance"},
        {"loss": "hybrid", "weighting": "min-snr", "gamma": 1.0, "levels": "log-normal", "mean": -1.0, "std": 2.0},
        {"weighting": "p2", "gamma": 0.5, "levels": "stratified"},
    ],
)
def test_what_goes_together(given):
    assert ObjectiveConfig(**given).model_dump(exclude_unset=True) == given


def test_words():
    assert ObjectiveConfig().words == "simple loss, uniform levels"
    hybrid = ObjectiveConfig(loss="hybrid", weighting="min-snr", levels="importance")
    assert hybrid.words == "hybrid loss, min-snr weighting, importance levels"

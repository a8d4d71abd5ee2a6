import pytest
from pydantic import ValidationError

from ddpm.config.objective import ObjectiveConfig
from ddpm.system.record import explain


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"weighting": {"name": "snr", "gamma": 3.0}}, "weighting.gamma is an option of min-snr and p2, not of snr"),
        ({"weighting": {"name": "p2", "gamma": 0.0}}, "weighting.gamma must be above 0 and finite, not 0.0"),
        ({"weighting": "snrs"}, "weighting 'snrs' is unknown (did you mean 'snr'?); choose from simple, "),
        ({"levels": {"name": "logit-normal", "std": float("inf")}}, "levels.std must be above 0 and finite, not inf"),
        ({"levels": {"mean": float("nan")}}, "levels.mean must be finite, not nan"),
        ({"loss": {"name": "vlb", "share": 0.1}}, "loss.share is an option of hybrid, not of vlb"),
        ({"loss": {"share": -1.0}}, "loss.share must be above 0 and finite, not -1.0"),
        ({"loss": "vlb", "weighting": "p2"}, "weighting p2 has no effect with --loss vlb"),
        ({"loss": "vlb", "levels": "logit-normal"}, "--levels logit-normal"),
    ],
)
def test_nonsense_is_refused_with_its_reason(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ObjectiveConfig.model_validate(given)
    assert explain(caught.value, ObjectiveConfig).startswith(said)


def test_a_bare_name_stands_for_its_group_and_options_for_the_first_that_has_them() -> None:
    short = ObjectiveConfig.model_validate({"loss": "hybrid", "weighting": {"gamma": 1.0}, "levels": "log-normal"})
    assert short.model_dump() == {
        "loss": {"name": "hybrid", "share": None},
        "weighting": {"name": "min-snr", "gamma": 1.0},
        "levels": {"name": "log-normal", "mean": None, "std": None},
    }
    assert ObjectiveConfig.model_validate_json(short.model_dump_json()) == short
    assert short.words == "hybrid loss, min-snr weighting, log-normal levels"

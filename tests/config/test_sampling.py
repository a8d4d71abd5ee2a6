import math
from typing import Any

import pytest

from ddpm.config.guidance import Guide
from ddpm.config.options import changed, flat, options, typed
from ddpm.config.sampling import SamplingConfig
from ddpm.system.errors import InputError

GUIDE = Guide(checkpoint="step-8", weights="w")
NEEDS: dict[str, dict[str, Any]] = {
    "eta": {"solver": "ddim"},
    "churn": {"solver": "edm"},
    "tolerance": {"solver": "adaptive"},
    "temperature": {"solver": "ancestral"},
    "negative": {"guidance": 2.0},
    "guide_with": {"guidance": 2.0},
    "negative_prompt": {"guidance": 2.0},
    "guidance_label": {"guidance": 2.0},
    "guidance_interval": {"guidance": 2.0},
    "guidance_rescale": {"guidance": 2.0},
    "guidance_parallel": {"guidance": 2.0},
    "guidance_norm": {"guidance": 2.0},
    "classifier_form": {"classifier": 2.0, "solver": "ancestral"},
    "whole": {"size": (9, 9)},
}
"""What an option takes to have an effect."""
VALUES: dict[str, Any] = {
    "solver": "heun",
    "grid": (1000.0, 99.5),
    "negative": "cat",
    "guide_with": GUIDE,
    "negative_prompt": "a face",
    "guidance_interval": (0.2, 5.0),
    "classifier_form": "mean",
    "clip": False,
    "precision": "bf16",
    "size": (9, 9),
    "whole": True,
    "steps": 7,
}
"""For options other than a number, which is 0.5."""
FLOATS = [name for name, timestep in options(SamplingConfig).items() if timestep.kind is float]


@pytest.mark.parametrize("name", options(SamplingConfig))
def test_every_option_is_found_again_under_its_name(name: str) -> None:
    """In the tree, through JSON, and as a flag."""
    value = VALUES.get(name, 0.5)
    how = SamplingConfig.of(**NEEDS.get(name, {}), **{name: value})
    assert SamplingConfig.model_validate_json(how.model_dump_json()) == how
    assert flat(how)[name] == value
    assert how != SamplingConfig.of(**NEEDS.get(name, {}))
    assert SamplingConfig.of(**flat(how)) == how
    assert any(word.startswith(("--" + name.replace("_", "-"), "--no-" + name)) for word in typed(flat(how)))


@pytest.mark.parametrize("value", [math.inf, math.nan])
@pytest.mark.parametrize("name", FLOATS)
def test_what_is_not_finite(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"^{name} must be .*, not {value}"):
        SamplingConfig.of(**NEEDS.get(name, {}), **{name: value})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"guidance": 2, "guidance_interval": (5.0, 0.2)}, "guidance_interval must be two .*, not 5.0 0.2"),
        ({"guidance": 2, "guidance_interval": (math.nan, 5.0)}, "guidance_interval must be two"),
        ({"guidance": 2, "guidance_rescale": 0.0}, "guidance_rescale must be above 0 and at most 1, not 0.0"),
        ({"guidance": 2, "guidance_parallel": 1.0}, "guidance_parallel must be at least 0 and below 1, not 1.0"),
        ({"guidance": 2, "negative": "a", "guide_with": GUIDE}, "negative and guide_with"),
        ({"guidance": 2, "negative_prompt": "a", "guide_with": GUIDE}, "negative_prompt has no effect with guide_with"),
        ({"guidance": 2, "guidance_label": 3, "guide_with": GUIDE}, "guidance_label has no effect with guide_with"),
        ({"guidance": 2, "guidance_label": -1}, "guidance_label must be at least 0"),
        ({"guidance": 1, "guidance_norm": 2.0}, "guidance_norm requires guidance"),
        ({"guidance_interval": (0.2, 5.0)}, "guidance_interval requires guidance"),
        ({"classifier_form": "mean"}, "classifier_form requires classifier"),
        ({"classifier_form": "mean", "classifier": 2}, "classifier_form mean .*not unipc-2"),
        ({"classifier": 0}, "classifier must be above 0 and finite, not 0"),
        ({"whole": True}, "whole requires size"),
        ({"threshold": 0.9, "clip": False}, "threshold is an option of clip dynamic, not of clip none"),
        ({"threshold": 1.1}, "threshold must be above 0 and at most 1, not 1.1"),
        ({"eta": 0.5, "solver": "euler"}, "eta is an option of ddim and euler-ancestral, not of euler"),
        ({"eta": 1.5}, "eta must be between 0 and 1, not 1.5"),
        ({"tolerance": 0.1, "solver": "edm"}, "tolerance is an option of adaptive, not of edm"),
        ({"temperature": 0.5, "solver": "ddim"}, "temperature has no effect, as ddim .* eta above 0"),
        ({"temperature": 0.5, "churn": 0.0}, "temperature has no effect, as edm .* churn above 0"),
        ({"solver": "dimm"}, r"solver 'dimm' is unknown \(did you mean 'ddim'\?\); "),
        ({"precision": "fp8"}, r"precision 'fp8' is unknown .*bf16, fp16, fp32"),
        ({"stepz": 8}, r"unknown key 'stepz' \(did you mean 'steps'\?\)"),
        ({"steps": 0}, "steps must be at least 1, not 0"),
        ({"steps": 5, "grid": (1000, 400)}, "steps is 5, but the grid lists 2 timesteps"),
    ],
)
def test_what_makes_no_sense_is_said_of_the_flat_name(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        SamplingConfig.of(**given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "solver"),
    [
        ({"eta": 0.5}, "ddim"),
        ({"churn": 3.0}, "edm"),
        ({"tolerance": 0.1}, "adaptive"),
        ({"temperature": 0.9}, "sde-dpm++-2m"),
        ({"temperature": 0.9, "eta": 1.0}, "ddim"),
    ],
)
def test_an_option_of_other_solvers_names_the_first_that_has_it(given: dict[str, Any], solver: str) -> None:
    assert SamplingConfig.of(**given).solver.name == solver


@pytest.mark.parametrize(
    ("own", "given", "expected"),
    [
        ({"eta": 0.5}, {"solver": "euler-ancestral"}, {"solver": "euler-ancestral"}),  # options belong to their solver
        ({"eta": 0.5}, {"temperature": 0.9}, {"eta": 0.5, "temperature": 0.9}),
        ({"eta": 0.5}, {"churn": 2.0}, {"churn": 2.0}),
        ({"guidance": 2, "guidance_norm": 3.0}, {"guidance": 4}, {"guidance": 4, "guidance_norm": 3.0}),
        ({"guidance": 2, "guidance_norm": 3.0}, {"guidance": 1}, {}),
        ({"guidance": 2, "negative": "cat"}, {"guide_with": GUIDE}, {"guidance": 2, "guide_with": GUIDE}),
        ({"threshold": 0.9}, {"clip": False}, {"clip": False}),
        ({"clip": False}, {"threshold": 0.9}, {"threshold": 0.9}),
        ({"steps": 7, "eta": 0.5}, {"eta": None, "steps": None}, {"steps": 7, "eta": 0.5}),
    ],
)
def test_changes_of_own_settings(own: dict[str, Any], given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert changed(SamplingConfig.of(**own), given) == SamplingConfig.of(**expected)


def test_an_interval_is_of_every_guidance_there_is() -> None:
    interval = (0.2, 5.0)
    both = SamplingConfig.of(guidance=2, classifier=3, guidance_interval=interval)
    assert both.guidance is not None
    assert both.classifier is not None
    assert both.guidance.interval == both.classifier.interval == interval
    alone = SamplingConfig.of(classifier=3, guidance_interval=interval)
    assert alone.guidance is None
    assert flat(alone)["guidance_interval"] == interval


def test_words() -> None:
    of = SamplingConfig.of
    assert of(solver="ddim").short == "ddim20"
    assert of(solver="unipc-3", steps=20).short == "unipc-3x20"
    assert of(guidance=1.5).summary(True) == "unipc-2, 20 steps, trailing grid, guidance 1.5"
    assert of(guidance=1.5).summary(False) == "unipc-2, 20 steps, trailing grid"
    assert of(guidance=1.5, guide_with=GUIDE).summary(False).endswith(f"guidance 1.5, away from {GUIDE}")
    assert of(steps=1, precision="bf16").words == "unipc-2, 1 step, trailing grid, bf16"
    assert of(grid=(1000.0, 99.123)).words == "unipc-2, 2 steps, at 1000, 99.12"

"""A grid's name, or its timesteps however they are written."""

import math
import re
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from ddpm import build
from ddpm.config.grid import timesteps
from ddpm.config.sampling import SamplingConfig
from ddpm.system.names import GridName, TickGridName
from ddpm.system.record import explain


def test_names() -> None:
    assert set(get_args(TickGridName)) < set(get_args(GridName)) == set(build.GRIDS)
    for name in get_args(GridName):
        settings = SamplingConfig(grid=name)
        assert (settings.grid, settings.steps, settings.visits) == (name, 20, name)
        assert settings.on_ticks == (name in get_args(TickGridName))
        assert timesteps(name) is None


@pytest.mark.parametrize("given", ["1000,700,99.5", "1000, 700, 99.5", [1000, 700, 99.5], (1000.0, 700.0, 99.5)])
def test_places(given: Any) -> None:
    settings = SamplingConfig(grid=given)
    assert settings.grid == timesteps(given) == (1000.0, 700.0, 99.5)
    assert settings.steps == 3
    assert settings.visits == "1000,700,99.5"
    assert not settings.on_ticks
    assert SamplingConfig.model_validate_json(settings.model_dump_json()) == settings
    assert SamplingConfig(**settings.model_dump()) == settings
    assert SamplingConfig(grid=settings.visits) == settings


def test_one_place() -> None:
    assert SamplingConfig(grid="800").grid == (800.0,)
    assert SamplingConfig(grid="800").steps == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"grid": "karas"}, r"^grid must be 'uniform', .*'beta' or timesteps such as 1000,700,400,100, not 'karas'$"),
        ({"grid": ""}, r"^grid must be .*, not ''$"),
        ({"grid": None}, r"^grid must be .*, not None$"),
        ({"grid": 5}, r"^grid must be .*, not 5$"),
        ({"grid": {"a": 1}}, r"^grid must be .*"),
        ({"grid": "7,x"}, r"'7,x' .* 1000,700,400,100$"),
        ({"grid": "7,", "steps": 1}, r"^grid: '7,' .* 1000,700,400,100"),
        ({"grid": [7, None]}, r"\[7, None\] .* 1000,700,400,100"),
        ({"grid": []}, r"timesteps must .*, not None$"),
        ({"grid": "7,9"}, r"timesteps must .*, not 7,9$"),
        ({"grid": [7, math.nan]}, r"timesteps must .*, not 7,nan$"),
        (
            {"grid": [7, 3], "steps": 3},
            r"^steps is 3, but the grid lists 2 timesteps; ",
        ),
    ],
)
def test_what_is_no_grid(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        SamplingConfig(**given)
    message = explain(caught.value, SamplingConfig)
    assert "\n" not in message
    assert re.search(said, message)

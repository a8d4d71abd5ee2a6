"""From what is asked about a likelihood to settings, or to what is wrong with it."""

import math
from typing import Any

import pytest

from ddpm.config.likelihood import Likelihood
from ddpm.config.run import RunConfig
from ddpm.pipeline import Pipeline
from ddpm.system.errors import InputError
from ddpm.tasks.likelihood_settings import settle
from refusal import refuses


@pytest.fixture
def config(pipe: Pipeline) -> RunConfig:
    return pipe.config


def test_by_default_all_levels_clipped(config: RunConfig) -> None:
    assert settle(config) == Likelihood(method="bound", seed=0, clip=True, steps=1000, variance="small")
    assert settle(config, variance="large").variance == "large"
    assert not settle(config, clip=False).clip


def test_the_ode_is_not_clipped_unless_asked_for(config: RunConfig) -> None:
    assert settle(config, "ode", seed=3) == Likelihood(method="ode", seed=3, clip=False, probes=1, tolerance=1e-5)
    assert settle(config, "ode", clip=True).clip


@pytest.mark.parametrize("schedule", ["vp", "sub-vp", "ve", "edm", "flow"])
def test_in_continuous_time_the_ode_starts_where_published_ones_do(config: RunConfig, schedule: str) -> None:
    diffusion = config.diffusion.model_copy(update={"schedule": schedule})
    continuous = config.model_copy(update={"diffusion": diffusion})
    assert settle(continuous, "ode").start == 1e-5
    how = settle(continuous, "ode", start=1e-3, tolerance=1e-3, probes=4)
    assert (how.start, how.tolerance, how.probes) == (1e-3, 1e-3, 4)
    for start in (0.0, 9e-6, 1.0, math.nan):
        with refuses("invalid", "05"):
            settle(continuous, "ode", start=start)


@pytest.mark.parametrize(("given", "calls"), [({}, 1000), ({"steps": 7}, 7), ({"steps": 7, "terms": 6}, 7)])
def test_network_calls(config: RunConfig, given: dict[str, int], calls: int) -> None:
    assert settle(config, **given).calls == calls
    assert settle(config, "ode").calls is None


@pytest.mark.parametrize(
    ("method", "given", "said"),
    [
        ("exact", {}, r"'exact'.*bound or ode"),
        ("ode", {"steps": 10}, r"steps 10 .*method bound, not ode"),
        ("ode", {"terms": 10}, r"terms 10 .*method bound"),
        ("ode", {"variance": "large"}, r"variance large .*method bound"),
        ("ode", {"start": 1e-5}, r"start 1e-05 .*cosine"),
        ("ode", {"tolerance": 0.0}, r"tolerance 0\.0 .*use 1e-08 to 1"),
        ("ode", {"tolerance": math.nan}, r"tolerance nan .*use 1e-08 to 1"),
        ("ode", {"probes": 0}, r"probes is 0.*at least 1"),
        ("bound", {"start": 1e-5}, r"start 1e-05 .*method ode, not bound"),
        ("bound", {"tolerance": 1e-5}, r"tolerance 1e-05 .*method ode"),
        ("bound", {"probes": 1}, r"probes 1 .*method ode"),
        ("bound", {"variance": "learned"}, r"variance 'learned'.*small or large"),
        ("bound", {"variance": "big"}, r"variance 'big'"),
        ("bound", {"steps": 0}, r"steps 0 .*1 to 1000"),
        ("bound", {"steps": 1001}, r"steps 1001 .*1 to 1000"),
        ("bound", {"terms": 0}, r"terms 0 .*1 to 999"),
        ("bound", {"steps": 7, "terms": 7}, r"terms 7 .*1 to 6"),
        ("bound", {"steps": 1, "terms": 1}, r"terms 1 .*leave it out"),
    ],
)
def test_what_is_refused(config: RunConfig, method: str, given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        settle(config, method, **given)

"""Betas and a sigma_max of one's own make the process that they say."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from cases import cases
from ddpm import build
from ddpm.config.diffusion import DiffusionConfig
from ddpm.core import Discrete, Level, Schedule, discrete
from ddpm.planning.request import Request
from ddpm.sampling import start


def betas(schedule: str, T: int) -> torch.Tensor:
    """As the papers say them, held at 0.999."""
    if schedule == "linear":
        made = torch.linspace(1e-4, 0.02, T, dtype=torch.float64)
    else:
        made = torch.linspace(math.sqrt(0.00085), math.sqrt(0.012), T, dtype=torch.float64) ** 2
    return (made * (1000 / T)).clamp(max=0.999)


def of(config: DiffusionConfig) -> Discrete:
    """Its schedule, after the config was written and read."""
    made = build.build_schedule(DiffusionConfig.model_validate_json(config.model_dump_json()))
    assert isinstance(made, Discrete)
    return made


@pytest.mark.parametrize("T", [10, 1000, 4000])
@pytest.mark.parametrize("schedule", ["linear", "scaled-linear"])
def test_the_betas_of_a_named_schedule_are_that_schedule(schedule: str, T: int, tmp_path: Path) -> None:
    """To the bit, from a config or through a file of the command line, as JSON or as NumPy writes it."""
    expected = build.SCHEDULES[schedule](T)
    assert isinstance(expected, Discrete)
    listed = betas(schedule, T).tolist()
    assert torch.equal(of(DiffusionConfig(schedule="custom", betas=tuple(listed))).alpha_bar, expected.alpha_bar)
    (tmp_path / "betas.json").write_text(str(listed))
    np.savetxt(tmp_path / "betas.txt", listed)
    for path in tmp_path.iterdir():
        changes = Request.of("digits", {"betas": str(path)}).changes
        tree = {key.removeprefix("diffusion."): value for key, value in changes.items()}
        assert torch.equal(of(DiffusionConfig.model_validate(tree)).alpha_bar, expected.alpha_bar), path


def test_a_last_beta_of_1_leaves_noise_alone() -> None:
    """The betas of a zero-terminal schedule are that schedule, but for roundings."""
    expected = discrete.zero_terminal_snr(discrete.linear(100))
    given = (1 - expected.alpha_bar[1:] / expected.alpha_bar[:-1]).tolist()
    made = discrete.custom(given)
    assert made.level(100) == Level(99.0, 0.0, 1.0)
    torch.testing.assert_close(made.alpha_bar, expected.alpha_bar, rtol=1e-12, atol=0)


@cases(
    ("given", "said"),
    [
        ([], "betas is empty; add at least one"),
        ([0.1, 0.0], r"beta 2 of 2 is 0\.0"),
        ([0.1, 1.0, 0.2], r"beta 2 of 3 is 1\.0"),
        ([-0.1], r"beta 1 of 1 is -0\.1"),
        ([0.1, math.nan], "beta 2 of 2 is nan"),
        ([1.5], r"beta 1 of 1 is 1\.5"),
        ([0.9] * 400, "float64 cannot"),  # their product underflows
        ([1e-17, 0.1], "float64 cannot"),
    ],
)
def test_betas_that_make_no_process(given: list[float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        discrete.custom(given)
    with pytest.raises(ValueError, match=said if given else "must be at least 1"):
        DiffusionConfig(schedule="custom", betas=tuple(given))


LEAST = {"ve": 0.01, "edm": 0.002}


def bent(schedule: str, T: int, sigma_max: float) -> Schedule:
    return build.build_schedule(DiffusionConfig.model_validate({"schedule": schedule, "T": T, "sigma_max": sigma_max}))


@cases("sigma_max", [0.5, 80.0, 348.0])
@cases("T", [2, 18, 1000])
@cases("schedule", LEAST)
def test_sigma_max_is_the_noisiest_levels_noise(schedule: str, T: int, sigma_max: float) -> None:
    """And the least noise stays; more than the most is held there; what sampling starts from is as noisy."""
    made = bent(schedule, T, sigma_max)
    first, last = made.level(1), made.level(T)
    assert (last.sigma / last.alpha, first.sigma / first.alpha) == pytest.approx(
        (sigma_max, LEAST[schedule]), rel=1e-13
    )
    timesteps = made.timestep(torch.tensor([LEAST[schedule], sigma_max, 2 * sigma_max], dtype=torch.float64))
    assert timesteps.tolist() == pytest.approx([1, T, T], rel=1e-12)
    assert torch.equal(start(last, lambda: torch.ones(1, 1, 2)), torch.full((1, 1, 2), last.sigma))


@cases(("schedule", "sigma_max"), [("ve", 50.0), ("edm", 80.0)])
def test_the_papers_sigma_max_changes_nothing(schedule: str, sigma_max: float) -> None:
    assert bent(schedule, 40, sigma_max) == build.SCHEDULES[schedule](40)


@cases(
    ("given", "said"),
    [
        ({"schedule": "vp", "sigma_max": 50}, "sigma_max is"),
        ({"schedule": "edm", "sigma_max": 0.002}, r"above 0\.002, the least noise, and finite, not 0\.002"),
        ({"schedule": "ve", "sigma_max": math.inf}, r"above 0\.01, the least noise, and finite, not inf"),
        ({"schedule": "ve", "sigma_max": math.nan}, "not nan"),
        ({"schedule": "custom"}, "--betas"),
        ({"schedule": "linear", "betas": [0.1]}, "e the custom schedule, not linear"),
        ({"schedule": "custom", "betas": [0.1, 0.2], "T": 3}, "there are 2 betas"),
        ({"schedule": "custom", "betas": [0.1, 1], "prediction": "eps"}, "eps prediction .* as at the last level"),
    ],
)
def test_settings_that_contradict_each_other(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        DiffusionConfig.model_validate(given)

from pathlib import Path

import numpy as np
import pytest

from ddpm.codec import PixelCodec
from ddpm.errors import InputError
from ddpm.pipeline import Pipeline, load
from ddpm.report.canvas import DPI
from ddpm.report.trajectory import draw, follow
from ddpm.sampling import SampleNoise


@pytest.fixture(scope="module")
def pipe(digits_run: Path) -> Pipeline:
    return load(digits_run, "cpu")


@pytest.mark.parametrize("n", [1, 3, 17])
@pytest.mark.parametrize(
    "how", [{"steps": 9}, {"steps": 3, "solver": "ancestral"}, {"steps": 4, "guidance": 2.0}, {"grid": "900,99.5"}]
)
def test_it_ends_with_the_samples_of_the_pipeline(pipe: Pipeline, n: int, how: dict) -> None:
    label = ("3", "8")
    stages = follow(pipe, n, label=label, seed=5, **how)
    asked = [label[i % 2] for i in range(n)]
    wanted = [np.asarray(image)[..., None] for image in pipe.sample(n, label=asked, seed=5, **how)]
    assert np.array_equal(stages[-1].x, wanted)
    assert np.array_equal(stages[-1].x0, wanted)


def test_it_begins_with_the_noise_of_the_seed(pipe: Pipeline) -> None:
    first = follow(pipe, 2, seed=5, steps=4)[0]
    noise = SampleNoise(5, range(2), (1, 8, 8))()
    level = pipe.schedule.level(pipe.schedule.T)
    assert (first.number, first.index, first.level) == (0, 1000, level)
    assert np.array_equal(first.x, PixelCodec().decode(level.sigma * noise).numpy())


def test_what_is_expected_before_the_last_step_of_ddim_is_the_sample(pipe: Pipeline) -> None:
    stages = follow(pipe, 3, steps=5)
    assert [stage.number for stage in stages] == [0, 1, 2, 3, 4, 5]
    assert np.array_equal(stages[-2].x0, stages[-1].x)
    assert not np.array_equal(stages[0].x0, stages[-1].x)


def test_stages_are_spread_over_many_steps(pipe: Pipeline) -> None:
    stages = follow(pipe, 1, steps=50, stages=6)
    assert [stage.number for stage in stages] == [0, 10, 20, 30, 40, 50]
    assert [stage.index for stage in stages] == [1000, 800, 600, 400, 200, 0]
    assert stages[-1].level.clean


def test_places_between_the_ticks_are_told_rounded(pipe: Pipeline) -> None:
    """The first stage is where the grid begins."""
    stages = follow(pipe, 1, grid=(900, 400.4, 99.6))
    assert [(stage.number, stage.index) for stage in stages] == [(0, 900), (1, 400), (2, 100), (3, 0)]
    karras = follow(pipe, 1, grid="karras", steps=5)
    assert [stage.index for stage in karras][:1] + [stage.index for stage in karras][-2:] == [1000, 1, 0]


def test_the_picture_has_a_row_for_each_sample(pipe: Pipeline) -> None:
    """Each pixel of an image is a square of whole pixels, so its values are those of the image."""
    stages = follow(pipe, 2, steps=3)
    fig = draw(stages)
    blocks = [np.asarray(ax.images[0].get_array()) for ax in fig.axes]
    assert [block.shape for block in blocks] == [(2 * 9 - 1, 4 * 9 - 1)] * 2
    for block, kind in zip(blocks, ("x", "x0"), strict=True):
        for column, stage in enumerate(stages):
            for row in range(2):
                image = block[9 * row : 9 * row + 8, 9 * column : 9 * column + 8]
                assert np.array_equal(image, getattr(stage, kind)[row, ..., 0])
    for ax in fig.axes:
        wide = ax.get_position().width * fig.get_figwidth() * DPI
        assert wide / 35 == pytest.approx(round(wide / 35), abs=1e-6)


def test_what_cannot_be_asked(pipe: Pipeline) -> None:
    with pytest.raises(InputError, match="n must be at least 1"):
        follow(pipe, 0)
    with pytest.raises(InputError, match="unknown label 'x'"):
        follow(pipe, 1, label=["x"])

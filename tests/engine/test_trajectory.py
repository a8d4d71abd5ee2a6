import numpy as np
import pytest

from cases import cases
from ddpm.codec import PixelCodec
from ddpm.core import Denoised
from ddpm.core.model import Model
from ddpm.engine.trajectory import spread
from ddpm.pipeline import Pipeline
from ddpm.sampling import SampleNoise, rows_of
from refusal import refuses


@cases(
    ("n", "batch", "how"),
    [
        (1, 64, {"steps": 9}),
        (3, 2, {"steps": 3, "solver": "ancestral"}),
        (17, 64, {"steps": 4, "guidance": 2.0}),
        (3, 2, {"grid": "900,99.5"}),
        (3, 64, {"steps": 3, "solver": "heun"}),
    ],
)
def test_it_ends_with_the_samples_of_the_pipeline(pipe: Pipeline, n: int, batch: int, how: dict) -> None:
    asked = [("3", "8")[i % 2] for i in range(n)]
    images, stages = pipe.trajectory(n, label=asked, seed=5, batch=batch, **how)
    samples = pipe.sample(n, label=asked, seed=5, **how)
    assert [image.tobytes() for image in images] == [image.tobytes() for image in samples]
    assert [image.info for image in images] == [image.info for image in samples]
    wanted = [np.asarray(image)[..., None] for image in samples]
    assert np.array_equal(stages[-1].x, wanted)
    assert np.array_equal(stages[-1].x0, wanted)


def test_it_begins_with_the_noise_of_the_seed(pipe: Pipeline) -> None:
    first = pipe.trajectory(2, seed=5, steps=4).stages[0]
    noise = SampleNoise(rows_of(5, range(2)), (1, 8, 8))()
    level = pipe.run.engine.schedule.level(1000)
    assert (first.number, first.index, first.level) == (0, 1000, level)
    assert np.array_equal(first.x, PixelCodec().decode(level.sigma * noise).numpy())


def test_what_is_expected_before_the_last_step_of_ddim_is_the_sample(pipe: Pipeline) -> None:
    """Guided and clipped, too: this step returns its denoiser's answer."""
    stages = pipe.trajectory(3, label="5", steps=5, guidance=4.0).stages
    assert [stage.number for stage in stages] == [0, 1, 2, 3, 4, 5]
    assert np.array_equal(stages[-2].x0, stages[-1].x)
    assert not np.array_equal(stages[0].x0, stages[-1].x)


def test_the_network_is_asked_no_more_often(pipe: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    real = Model.denoiser

    def counted(self: Model, ask: object) -> object:
        denoise = real(self, ask)  # type: ignore[arg-type]

        def count(*args: object) -> Denoised:
            calls.append(1)
            return denoise(*args)  # type: ignore[arg-type]

        return count

    monkeypatch.setattr(Model, "denoiser", counted)
    pipe.trajectory(2, steps=4, solver="heun", guidance=1)
    assert len(calls) == 2 * 2 + 2  # once at either end


def test_stages_are_spread_over_many_steps(pipe: Pipeline) -> None:
    stages = pipe.trajectory(1, stages=6, steps=50, grid="trailing").stages
    assert [stage.number for stage in stages] == [0, 10, 20, 30, 40, 50]
    assert [stage.index for stage in stages] == [1000, 800, 600, 400, 200, 0]
    assert stages[-1].level.clean
    assert spread(3, 40) == [0, 1, 2, 3]
    assert spread(7, 2) == [0, 7]


def test_places_between_the_ticks_are_told_rounded(pipe: Pipeline) -> None:
    """The first stage is where the grid begins."""
    stages = pipe.trajectory(1, grid=(900, 400.4, 99.6)).stages
    assert [(stage.number, stage.index) for stage in stages] == [(0, 900), (1, 400), (2, 100), (3, 0)]
    karras = pipe.trajectory(1, grid="karras", steps=5).stages
    assert [stage.index for stage in karras][:1] + [stage.index for stage in karras][-2:] == [1000, 1, 0]


def test_what_cannot_be_asked(pipe: Pipeline) -> None:
    with refuses("invalid"):
        pipe.trajectory(0)
    with refuses("unknown", "'x'"):
        pipe.trajectory(1, label="x")
    with refuses("invalid"):
        pipe.trajectory(1, stages=1)

"""A sweep of a small run: what is counted, what is measured, and what is refused before any of it."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from ddpm import build
from ddpm.config.guidance import GuidanceConfig, Guide
from ddpm.config.network import NetworkSettings
from ddpm.config.sampling import SamplingConfig
from ddpm.config.upscaling import UpscalingConfig
from ddpm.core.discrete import cosine
from ddpm.engine.diffusion import Diffusion
from ddpm.engine.loading import load
from ddpm.engine.options import settings
from ddpm.engine.run import LoadedRun
from ddpm.engine.subjects import NOTHING, Subjects
from ddpm.evaluation import sweep as sweeping
from ddpm.evaluation.evaluate import evaluate_run
from ddpm.evaluation.options import EvaluationOptions
from ddpm.evaluation.sweep import draws_noise, plan, sweep
from ddpm.images.pixels import Pixels
from ddpm.records.sweep import Cell, SweepRecord
from ddpm.sampling import SampleNoise, rows_of, start, steps
from ddpm.system.errors import InputError
from ddpm.tasks.generate import sample
from random_runs import random_run
from refusal import refuses
from tiny import NETWORKS

ASKED: dict[str, Any] = {
    "solvers": ("ddim", "heun", "ancestral"),
    "steps": (3, 2),
    "grids": ("trailing",),
    "guidance": (1.0, 2.0),
    "n": 3,
    "samples": 12,
}


class Sweep(NamedTuple):
    record: SweepRecord
    shown: list[Pixels]
    solutions: list[Pixels]


def way(cell):
    """Solver, steps and guidance of a cell."""
    return cell.sampling.solver.name, cell.sampling.steps, cell.sampling.guidance_scale


def silent(done: int, total: int, what: str = "", /) -> None:
    assert 0 <= done <= total


@pytest.fixture(autouse=True, scope="module")
def _short_solutions() -> Iterator[None]:
    """Solutions in 20 steps instead of 200."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweeping, "MANY", 20)
        yield


@pytest.fixture(scope="module")
def run(digits_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(digits_run, tmp_path_factory.mktemp("swept") / "run")


@pytest.fixture(scope="module")
def loaded(run: Path) -> LoadedRun:
    return load(run, "cpu")


@pytest.fixture(scope="module")
def swept(loaded: LoadedRun) -> Sweep:
    return Sweep(*sweep(loaded, plan(loaded, **ASKED), silent))


def cell_of(swept: Sweep, solver: str, steps: int) -> Cell:
    """That with guidance 2."""
    (cell,) = (cell for cell in swept.record.cells if way(cell) == (solver, steps, 2))
    return cell


def test_every_combination_with_what_it_asks(loaded: LoadedRun) -> None:
    todo = plan(loaded, **ASKED)
    assert [(how.guidance_scale, how.solver.name, how.steps) for how in todo.ways] == [
        (g, solver, n) for g in (1.0, 2.0) for solver in ("ddim", "heun", "ancestral") for n in (2, 3)
    ]
    assert list(todo.evaluations) == 2 * [2, 3, 2, 4, 2, 3]  # Heun asks once from pure noise, and to the clean level
    assert [how.steps for how in todo.solutions] == [20, 20]
    assert todo.cost == sum(todo.evaluations) * (3 + 64) + 2 * 20 * 3
    assert todo.subjects == Subjects((0, 1, 2))


def test_the_images_are_those_of_the_pipeline(loaded: LoadedRun, swept: Sweep) -> None:
    for cell, shown in zip(swept.record.cells, swept.shown, strict=True):
        how = cell.sampling
        wanted = sample(
            loaded,
            3,
            label=[0, 1, 2],
            solver=how.solver.name,
            grid=how.grid,
            steps=how.steps,
            guidance=how.guidance_scale,
        )
        assert np.array_equal(shown[..., 0], [np.asarray(image) for image in wanted])
    assert swept.record.labels == ("0", "1", "2")


def test_distances_of_images_that_are_drawn_one_by_one(
    loaded: LoadedRun, swept: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Diffusion, "_alone", lambda self, how: True)
    alone, _, _ = sweep(loaded, plan(loaded, **ASKED | {"samples": 0}), silent)
    for one, other in zip(alone.cells, swept.record.cells, strict=True):
        assert one.distance == (None if other.distance is None else pytest.approx(other.distance, rel=1e-4))


def test_distances_by_hand(loaded: LoadedRun, swept: Sweep) -> None:
    """sqrt of the mean square over an image, of DDIM in three steps from 20 of dpm++-2m, averaged over images."""

    def end(**change: object) -> torch.Tensor:
        how = settings(loaded, {"grid": "trailing", "guidance": 2.0, **change})
        engine, noise = loaded.engine, SampleNoise(rows_of(0, range(3)), (1, 8, 8))
        grid, cond = build.build_grid(how, engine.schedule), engine.model.cond({"label": torch.tensor([0, 1, 2])}, 3)
        denoise = engine.denoiser(how, loaded.guides(how, Subjects((0, 1, 2))))
        *_, last = steps(denoise, build.build_solver(how, engine.schedule), grid, start(grid[0], noise), noise, cond)
        return last.x

    off = (end(solver="ddim", steps=3) - end(solver="dpm++-2m", steps=20)).square().mean((1, 2, 3)).sqrt().mean()
    (cell,) = (c for c in swept.record.cells if way(c) == ("ddim", 3, 2))
    assert cell.distance == pytest.approx(float(off), rel=1e-4)
    assert [c.distance is None for c in swept.record.cells] == 2 * [False, False, False, False, True, True]


def test_frechet_distances_are_those_of_evaluate(run: Path, swept: Sweep) -> None:
    how = {"solver": "heun", "grid": "trailing", "steps": 3, "guidance": 2.0}
    found = evaluate_run(run, EvaluationOptions(n=12, device="cpu"), silent, how)
    assert found is not None
    score = found[0]
    (cell,) = (c for c in swept.record.cells if way(c) == ("heun", 3, 2))
    assert cell.frechet is not None
    assert cell.frechet.model_dump() == score.frechet.model_dump(exclude={"floor"})
    assert swept.record.quality is not None
    assert swept.record.quality.floor == score.frechet.floor
    assert swept.record.quality.reference == score.measure.reference
    assert swept.record.quality.features == score.measure.features


def test_again_nothing_that_was_measured_is_drawn(loaded: LoadedRun, swept: Sweep) -> None:
    said: list[str] = []
    again, *_ = sweep(loaded, plan(loaded, **ASKED), lambda i, of, what="": said.append(what))
    assert again == swept.record
    assert "sampling" not in said
    assert any(what.startswith("drawing") for what in said)


def test_without_data_there_is_a_note_and_no_quality(loaded: LoadedRun, tmp_path: Path) -> None:
    data = loaded.config.data.model_copy(update={"source": str(tmp_path / "gone")})
    lost = replace(loaded, config=loaded.config.model_copy(update={"data": data}))
    ask = ASKED | {"solvers": ("ddim",), "steps": (2,), "guidance": (1.0,)}
    record, *_ = sweep(lost, plan(lost, **ask), silent)
    assert record.quality is None
    assert [cell.frechet for cell in record.cells] == [None]
    assert "no Fréchet distances" in record.notes[0]
    assert "--data" in record.notes[0]
    with pytest.raises(InputError, match="nowhere does not exist"):
        sweep(lost, plan(lost, **ask, data=str(tmp_path / "nowhere")), silent)


def test_who_draws_noise() -> None:
    schedule = cosine(100)

    def draws(**how: object) -> bool:
        config = SamplingConfig.of(steps=4, grid="trailing", **how)
        return draws_noise(build.build_solver(config, schedule), build.build_grid(config, schedule))

    noisy = {name for name in build.SOLVERS if name != "adaptive" and draws(solver=name)}
    assert noisy == {
        *("ancestral", "ancestral-small", "ancestral-large", "euler-ancestral", "langevin", "edm", "consistency"),
        *("sde-dpm++-2m", "sde-dpm++-3m"),
    }
    assert draws(solver="ddim", eta=0.5)
    assert not draws(solver="ddim", eta=0.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n": 0}, "-n must be between 1 and 64, not 0"),
        ({"samples": 9}, "--samples 9 is too few"),
        ({"samples": 0, "data": "x"}, "--samples 0"),
        ({"solvers": ("ddin",)}, "unknown solver 'ddin'.*did you mean 'ddim'"),
        ({"solvers": ("adaptive",)}, "adaptive .* --solvers"),
        ({"solvers": ()}, "a sweep needs --solvers and --steps"),
        ({"grids": ("900",)}, "unknown grid '900'"),
        ({"steps": (5, 1001)}, "1000"),
        ({"steps": (0,)}, "steps must be at least 1"),
        ({"guidance": (1, -1)}, "guidance must be at least 0"),
        ({"labels": ("x",)}, "unknown label 'x'"),
    ],
)
def test_what_cannot_be_swept(loaded: LoadedRun, change: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        plan(loaded, **ASKED | change)


def test_a_run_without_labels_is_not_guided(loaded: LoadedRun) -> None:
    data = loaded.config.data.model_copy(update={"classes": ()})
    without = replace(loaded, config=loaded.config.model_copy(update={"data": data}))
    with pytest.raises(InputError, match="was trained without labels"):
        plan(without, **ASKED)
    assert plan(without, **ASKED | {"guidance": ()}).subjects == NOTHING


def test_a_run_that_guides_away_from_an_earlier_version_does_so(tmp_path: Path) -> None:
    network = TypeAdapter(NetworkSettings).dump_python(NETWORKS["unet"]) | {"cond_width": None}
    run = random_run(tmp_path / "run", network, mode="L")
    early = GuidanceConfig(scale=1.4, away_from=Guide(checkpoint="averages/step-000000004", weights="0" * 16))
    own = run.config.sampling.model_copy(update={"guidance": early})
    guided = replace(run, config=run.config.model_copy(update={"sampling": own}))
    [how] = plan(guided, ["ddim"], [3], samples=0).ways
    assert how.guidance == early
    [how] = plan(run, ["ddim"], [3], samples=0).ways
    assert how.guidance is None


def test_a_null_that_was_never_trained_is_not_guided_away_from(loaded: LoadedRun) -> None:
    always = replace(loaded.config.training, label_dropout=0.0)
    run = replace(loaded, config=loaded.config.model_copy(update={"training": always}))
    with refuses("conflict", "guidance 2", "label"):
        plan(run, **ASKED)
    assert plan(run, **ASKED | {"guidance": (1.0,)})


def test_a_run_that_makes_images_larger_is_not_swept(loaded: LoadedRun) -> None:
    larger = replace(loaded, config=loaded.config.model_copy(update={"upscaling": UpscalingConfig(scale=4)}))
    with pytest.raises(InputError, match="is a super-resolution run; use it with `"):
        plan(larger, **ASKED)

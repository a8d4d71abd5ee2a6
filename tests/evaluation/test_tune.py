"""Tuning a small run: what is kept is what was measured, and not worse than where it began."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ddpm import build
from ddpm.config.options import changed
from ddpm.config.sampling import SamplingConfig
from ddpm.engine.loading import load
from ddpm.engine.options import settings
from ddpm.engine.run import LoadedRun
from ddpm.engine.subjects import Subjects
from ddpm.evaluation.tune import AskTune, joined, planned, tune
from ddpm.records.run_folder import RunFolder
from ddpm.records.tuning import TunedRecord
from ddpm.sampling import SampleNoise, rows_of, start, steps
from ddpm.sampling.shortest import distance
from ddpm.sampling.tuning import Round
from ddpm.system.errors import InputError
from ddpm.tasks.generate import sample

ASK = AskTune((2, 4), ("unipc-2", "dpm++-2m"), images=3, reference=40, rounds=(Round(0.5, 3, 1), Round(1.0, 2, 1)))


def silent(done: int, total: int, what: str = "", /) -> None:
    assert 0 <= done <= total


@pytest.fixture(scope="module")
def record(digits_run: Path) -> TunedRecord:
    return tune(load(digits_run, "cpu"), ASK, silent)


def test_every_number_of_steps_has_its_grid(record: TunedRecord, digits_run: Path) -> None:
    assert [grid.sampling.steps for grid in record.grids] == [2, 4]
    assert record.weights == load(digits_run, "cpu").weights
    for found in record.grids:
        timesteps = found.sampling.grid
        assert isinstance(timesteps, tuple)
        assert timesteps[0] == 1000
        assert found.sampling.solver.name in ASK.solvers
        assert found.start.startswith(found.sampling.solver.name)


def end(loaded: LoadedRun, how: SamplingConfig) -> torch.Tensor:
    """Of images 3, 4 and 5 of the seed, guided towards classes 3, 4 and 5."""
    engine, noise = loaded.engine, SampleNoise(rows_of(0, [3, 4, 5]), (1, 8, 8))
    grid, solver = build.build_grid(how, engine.schedule), build.build_solver(how, engine.schedule)
    denoise, cond = (
        engine.denoiser(how, loaded.guides(how, Subjects((3, 4, 5)))),
        engine.cond(loaded.conditions(Subjects((3, 4, 5))), [0, 1, 2]),
    )
    with torch.no_grad():
        *_, last = steps(denoise, solver, grid, start(grid[0], noise), noise, cond)
    return last.x


def test_the_errors_are_of_other_images(record: TunedRecord, digits_run: Path) -> None:
    loaded, found = load(digits_run, "cpu"), record.grids[1]
    long = settings(loaded, {"solver": "dpm++-2m", "grid": "trailing", "steps": 40})
    assert record.reference == long
    solved = end(loaded, long)
    assert found.tuned == pytest.approx(distance(end(loaded, found.sampling), solved), rel=1e-4)
    assert found.usual == pytest.approx(distance(end(loaded, settings(loaded, {"steps": 4})), solved), rel=1e-4)


def test_a_run_whose_own_solver_draws_noise(digits_run: Path) -> None:
    """What it does without a tuned grid is drawn with the noise that samples have."""
    loaded = load(digits_run, "cpu")
    own = changed(loaded.config.sampling, {"solver": "ancestral"})
    loaded = replace(loaded, config=loaded.config.model_copy(update={"sampling": own}))
    found = tune(loaded, replace(ASK, steps=(3,), solvers=("ipndm-2",)), silent)
    off = distance(end(loaded, settings(loaded, {"steps": 3})), end(loaded, found.reference))
    assert found.grids[0].usual == pytest.approx(off, rel=1e-4)


def test_a_tuned_grid_is_kept_only_where_it_helps_others(record: TunedRecord) -> None:
    for found in record.grids:
        assert found.tuned <= found.untuned


@pytest.mark.parametrize("sampling", [{"guidance": 2.0}, {"guidance": 1.0}], ids=["guided", "unguided"])
def test_it_asks_no_more_than_planned(sampling: dict[str, object], digits_run: Path) -> None:
    """The network itself counts: guidance takes it twice for an image."""
    loaded = load(digits_run, "cpu")
    ask = replace(ASK, sampling=sampling)
    net, network, told = loaded.engine.model.net, [0], [(0, 0)]
    hook = net.register_forward_hook(lambda _, given, out: network.__setitem__(0, network[0] + len(out)))
    tune(loaded, ask, lambda done, total, what: told.append((done, total)))
    hook.remove()
    assert network[0] == told[-1][0] * (2 if sampling["guidance"] != 1 else 1)
    assert told[1][1] == planned(loaded, ask)
    assert told[-1][0] == told[-1][1] <= planned(loaded, ask)
    assert all(done <= total for done, total in told)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"solvers": ("heun",)}, "heun cannot be tuned"),
        ({"steps": (1, 4)}, "--steps must be at least 2"),
        ({"steps": ()}, "--steps must be at least 2"),
        ({"steps": (40,)}, "--steps 40 .* 40"),
        ({"images": 1}, "-n must be at least 2, not 1"),
        ({"sampling": {"guidance": -1.0}}, "guidance must be at least 0"),
    ],
)
def test_what_cannot_be_tuned(change: dict[str, object], said: str, digits_run: Path) -> None:
    with pytest.raises(InputError, match=said):
        tune(load(digits_run, "cpu"), replace(ASK, **change), silent)


def test_a_record_takes_in_an_earlier_one(record: TunedRecord, tmp_path: Path) -> None:
    two, four = record.grids
    assert joined(RunFolder(tmp_path), record) == record
    (tmp_path / "tuned.json").write_text(record.model_copy(update={"grids": (two,)}).to_json())
    assert joined(RunFolder(tmp_path), record.model_copy(update={"grids": (four,)})) == record
    better = two.model_copy(update={"tuned": 0.0})
    assert joined(RunFolder(tmp_path), record.model_copy(update={"grids": (better,)})).grids == (better,)
    other = record.model_copy(update={"weights": "others", "grids": (four,)})
    assert joined(RunFolder(tmp_path), other) == other


def test_a_run_samples_by_what_was_tuned(record: TunedRecord, digits_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(digits_run, run)
    plain = load(run, "cpu")
    (run / "tuned.json").write_text(record.to_json())
    tuned = load(run, "cpu")
    two, four = (grid.sampling for grid in record.grids)
    assert settings(tuned, {}) == four
    assert settings(tuned, {"steps": 2}) == two
    assert settings(tuned, {"steps": 2, "guidance": two.guidance_scale}) == two
    assert settings(tuned, {"steps": 2, "precision": "bf16"}) == two.model_copy(update={"precision": "bf16"})
    for changes in (
        {"steps": 3},
        {"solver": "ddim"},
        {"grid": "trailing"},
        {"eta": 0.5},
        {"guidance": 7.0},
        {"clip": False},
    ):
        assert settings(tuned, changes) == settings(plain, changes)
    late = replace(plain, tuned=(settings(plain, {"grid": (1000.0, 900.0, 30.0)}),))
    a, b = (sample(run, 1, label="3", steps=3)[0].tobytes() for run in (late, plain))
    assert a != b
    assert a == sample(plain, 1, label="3", grid=(1000.0, 900.0, 30.0))[0].tobytes()
    (run / "tuned.json").write_text(record.model_copy(update={"weights": "of before"}).to_json())
    assert load(run, "cpu").tuned == ()
    assert tune(replace(plain, tuned=(two, four)), ASK, silent) == record

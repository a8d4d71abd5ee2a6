"""Which early version of a run is guided away from."""

from pathlib import Path

import pytest

from ddpm.engine.autoguidance import early
from ddpm.records.run_folder import RunFolder
from ddpm.training.power_average import saved_after


def saved(folder: Path, steps: int, averages: int, *checkpoints: int) -> RunFolder:
    """The names of a finished run's files."""
    run = RunFolder(folder / "run")
    run.averages.mkdir(parents=True)
    for done in saved_after(steps, 1, averages):
        (run.averages / f"step-{done:09d}.safetensors").touch()
    for done in (*checkpoints, steps):
        (run.checkpoints / f"step-{done:09d}").mkdir(parents=True)
    return run


@pytest.mark.parametrize(("averages", "chosen"), [(16, 20), (24, 20), (5, 32), (4, 40), (2, 80)])
def test_the_average_nearest_to_an_eighth_of_the_run(averages: int, chosen: int, tmp_path: Path) -> None:
    """Also where the run has kept an earlier checkpoint."""
    assert early(saved(tmp_path, 160, averages, 19)) == f"averages/step-{chosen:09d}"


@pytest.mark.parametrize(
    ("checkpoints", "chosen"), [((), None), ((81,), None), ((80,), 80), ((10, 30, 80), 10)], ids=str
)
def test_without_averages_a_checkpoint_of_the_first_half(
    checkpoints: tuple[int, ...], chosen: int | None, tmp_path: Path
) -> None:
    run = saved(tmp_path, 160, 1, *checkpoints)
    assert early(run) == (None if chosen is None else f"step-{chosen:09d}")

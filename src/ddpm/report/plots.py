"""Single pictures as files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ddpm import build
from ddpm.core import Level, Schedule
from ddpm.engine.loading import load
from ddpm.records.run_folder import RunFolder
from ddpm.report import charts
from ddpm.report.canvas import FORMATS, figure, to_bytes
from ddpm.report.reading import read
from ddpm.report.trajectory import draw
from ddpm.system.errors import InputError
from ddpm.system.files import write_file
from ddpm.system.names import suggest
from ddpm.tasks.generate import trajectory as trajectory_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def schedule(what: Sequence[str]) -> "Figure":
    """Schedules of runs, or by name with 1000 levels; of a single run with the levels that its sampler visits.

    Raises:
        InputError: neither a run folder nor a name.
    """
    made: dict[str, Schedule] = {}
    grid: list[Level] = []
    for one in what:
        if one in build.SCHEDULES:
            made[one] = build.SCHEDULES[one](1000)
        elif Path(one).exists():
            run = read(Path(one))
            name = run.config.diffusion.schedule if len(what) == 1 else run.name
            made[name] = build.build_schedule(run.config.diffusion)
            grid = build.build_grid(run.config.sampling, made[name]) if len(what) == 1 else []
        else:
            raise InputError(
                "unknown", f"{one} is neither a run folder nor a schedule{suggest(one, list(build.SCHEDULES))}"
            )
    return figure(charts.signal_and_noise(made, grid), charts.log_snr(made, grid))


def loss(folder: Path) -> "Figure":
    """Training and held-out loss, and the latter by noise level where the log has it.

    Raises:
        InputError: it is not a run folder, or its log has no loss yet.
    """
    run = read(folder)
    panels = charts.losses(run)
    if not panels:
        raise InputError("missing", f"{run.files.log} has no loss yet; run its `ddpm train` command further")
    return figure(*panels.values())


def trajectory(folder: Path, n: int, label: Sequence[str], seed: int, device: str | None) -> "Figure":
    """How n samples come to be, their classes in turn; of a run's own settings."""
    labels = [label[i % len(label)] for i in range(n)] if label else None
    return draw(trajectory_of(load(folder, device), n, stages=8, label=labels, seed=seed).stages)


def target(kind: str, what: Sequence[str], out: Path | None) -> Path:
    """Where a plot goes.

    Raises:
        InputError: a suffix that no plot has.
    """
    folder = Path(what[0])
    path = out or (RunFolder(folder).plots / f"{kind}.png" if folder.is_dir() else Path(f"{kind}.png"))
    if path.suffix.lower().removeprefix(".") not in FORMATS:
        raise InputError(
            "invalid", f"{path} ends in {path.suffix or 'nothing'}; plots are written as .png, .svg or .pdf"
        )
    return path


def save(fig: "Figure", path: Path) -> Path:
    """Write a plot in the format that its name says.

    Raises:
        InputError: the disk refuses, or a folder is in the way.
    """
    data = to_bytes(fig, path.suffix.lower().removeprefix("."))
    if path.is_dir():
        raise InputError("incompatible", f"{path} is a folder; give the plot another name")
    write_file(path, data)
    return path

"""Single plots as files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ddpm import build
from ddpm.core import Level, Schedule
from ddpm.engine.loading import load
from ddpm.records.run_folder import RunFolder
from ddpm.report import charts, network_calls, quality, training_time
from ddpm.report.canvas import FORMATS, TALL, figure, to_bytes
from ddpm.report.reading import read
from ddpm.report.subjects import subjects
from ddpm.report.trajectory import draw
from ddpm.system.errors import InputError
from ddpm.system.files import write_file
from ddpm.system.names import suggest
from ddpm.tasks.generate import trajectory as trajectory_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def schedule(what: Sequence[str]) -> "Figure":
    """Plot schedules of runs, or by name with 1000 levels; for a single run with the levels that its sampler visits.

    Raises:
        InputError: an item is neither a run folder nor a schedule.
    """
    made: dict[str, Schedule] = {}
    grid: list[Level] = []
    for one in what:
        if one in build.SCHEDULES:
            made[one] = build.SCHEDULES[one](1000)
        elif Path(one).exists():
            run = read(Path(one))
            name = run.config.diffusion.schedule if len(what) == 1 else run.name
            name = one if name in made else name
            made[name] = build.build_schedule(run.config.diffusion)
            grid = build.build_grid(run.config.sampling, made[name]) if len(what) == 1 else []
        else:
            raise InputError(
                "unknown", f"{one} is neither a run folder nor a schedule{suggest(one, list(build.SCHEDULES))}"
            )
    return figure(*charts.schedule(made, grid).values())


def loss(folder: Path) -> "Figure":
    """Plot training and held-out loss, and the latter by noise level if the log has it.

    Raises:
        InputError: it is not a run folder, or its log has no loss yet.
    """
    run = read(folder)
    panels = charts.losses(run)
    if not panels:
        raise InputError("missing", f"{run.files.log} has no loss yet; train for longer")
    return figure(*panels.values())


def guidance(folder: Path) -> "Figure":
    """Plot the search for guidance.

    Raises:
        InputError: it is not a run folder, or was not searched.
    """
    run = read(folder)
    panels = quality.by_guidance(run.guidance)
    if not panels:
        raise InputError("missing", f"{folder} has no search for guidance; run `ddpm tune {folder} --guidance`")
    return figure(*panels.values())


def calls(folders: Sequence[Path]) -> "Figure":
    """Plot quality against network calls, of runs and the teachers of students among them.

    Raises:
        InputError: one is not a run folder, or all distances have the same number of calls.
    """
    group = subjects([read(folder) for folder in folders])
    found = network_calls.Calls.of(group, None)
    if found is None:
        raise InputError(
            "missing",
            f"{folders[0]} has no Fréchet distances for several numbers of network calls; "
            f"{_fix(network_calls.command(group, None))}",
        )
    return figure(found.panel(), height=TALL)


def minutes(folders: Sequence[Path]) -> "Figure":
    """Plot quality against training minutes, with a panel for each set of scores that can be compared.

    Raises:
        InputError: one is not a run folder, or none was scored over its training.
    """
    group = subjects([read(folder) for folder in folders])
    panels = training_time.panels(group, None)
    if not panels:
        fix = _fix(training_time.command(group[0], None))
        raise InputError("missing", f"{folders[0]} has no scores over its training; {fix}")
    return figure(*(panel.draw() for panel in panels))


def _fix(command: str) -> str:
    """The fix of a run that lacks scores, which has no command if it cannot have any."""
    return f"run `{command}`" if command else "use another run"


def trajectory(folder: Path, n: int, label: Sequence[str], seed: int, device: str | None) -> "Figure":
    """Plot the trajectories of n samples, their classes in turn, with the run's own settings."""
    labels = [label[i % len(label)] for i in range(n)] if label else None
    return draw(trajectory_of(load(folder, device), n, stages=8, label=labels, seed=seed).stages)


def target(kind: str, what: Sequence[str], out: Path | None) -> Path:
    """Choose the file of a plot.

    Raises:
        InputError: plots cannot be written with this suffix.
    """
    folder = Path(what[0])
    path = out or (RunFolder(folder).plots / f"{kind}.png" if folder.is_dir() else Path(f"{kind}.png"))
    if path.suffix.lower().removeprefix(".") not in FORMATS:
        raise InputError(
            "invalid", f"plots cannot be written as {path.suffix or 'a file without a suffix'}; use .png, .svg or .pdf"
        )
    return path


def save(fig: "Figure", path: Path) -> Path:
    """Write a plot in the format of its suffix.

    Raises:
        InputError: the file cannot be written, or a folder has its name.
    """
    data = to_bytes(fig, path.suffix.lower().removeprefix("."))
    if path.is_dir():
        raise InputError("exists", f"{path} is a folder; use another file name")
    write_file(path, data)
    return path

"""``ddpm interpolate``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ddpm.cli.output import say
from ddpm.cli.pictures import folder_name, names, refuse_to_overwrite, write
from ddpm.system.console import bar
from ddpm.system.files import write_file
from ddpm.system.names import Fit


def interpolate(
    run: Path,
    first: Path,
    last: Path,
    *,
    n: Annotated[int, Parameter(name=["-n", "--n"])] = 9,
    label: list[str] | None = None,
    steps: int = 50,
    fit: Fit | None = None,
    batch: int = 64,
    out: Path | None = None,
    device: str | None = None,
) -> None:
    """Interpolate between two pictures: a strip, and a GIF that plays back and forth.

    Args:
        run: A run folder, or one checkpoint in it.
        first: The first picture, of the run's size or larger.
        last: The last picture, of the same size.
        n: The number of pictures, including both ends, which are the model's reconstructions of the given pictures.
        label: The class of both pictures, or one each: `--label cat --label dog`.
        steps: The number of solver steps, each to the noise and back.
        fit: Resize and convert the pictures to the run's size and mode.
        batch: The number of pictures drawn at a time.
        out: The folder to write to; RUN/interpolate/… by default.
        device: cpu, cuda or mps; the best available by default.
    """
    from ddpm.engine.loading import load
    from ddpm.records.run_folder import RunFolder
    from ddpm.report.trajectory import to_and_fro
    from ddpm.tasks.interpolate import interpolate as between

    pipe, labels = load(run, device), label[0] if label and len(label) == 1 else label
    asked = {"label": " ".join(label) if label else None, "n": n, "steps": steps, "fit": fit}
    name = folder_name((first, last), asked, (pipe.weights, labels))
    folder = out or RunFolder.open(run).pictures("interpolate") / name
    refuse_to_overwrite((folder / file for file in names(n, ["film.gif"])), (first, last))
    with bar("interpolate") as progress:
        images = between(pipe, first, last, n=n, label=labels, steps=steps, fit=fit, batch=batch, progress=progress)
    write(images, folder)
    write_file(folder / "film.gif", to_and_fro(images))
    say(str(folder / "film.gif"))

"""The flags and the work that all commands editing pictures share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ddpm.cli.pictures import folder_name, names, refuse_to_overwrite, write
from ddpm.cli.sampling import Sampling
from ddpm.system.names import Fit

if TYPE_CHECKING:
    from PIL import Image

    from ddpm.images.photo import Opened


@Parameter(name="*")
@dataclass(frozen=True)
class Editing:
    """How many pictures to draw, and where to write them.

    Args:
        n: The number of pictures to draw.
        label: A class, by name or number.
        steps: The number of solver steps; the run's own by default.
        seed: The random seed. Picture i depends on the seed and i alone.
        fit: Resize and convert the picture to the run's size and mode. By default, larger pictures keep their size.
        batch: The number of pictures drawn at a time.
        whole: Draw pictures larger than in training in one pass, not in windows; sides must be divisible as the network
            needs.
        out: The folder to write to; RUN/COMMAND/… by default.
        device: cpu, cuda or mps; the best available by default.
    """

    n: Annotated[int, Parameter(name=["-n", "--n"])] = 1
    label: str | None = None
    steps: int | None = None
    seed: int = 0
    fit: Fit | None = None
    batch: int = 64
    whole: bool | None = None
    out: Path | None = None
    device: str | None = None


ONE = Editing()
"""One new picture."""


def make(
    run: Path,
    command: str,
    photo: "Path | Opened",
    options: dict[str, Any],
    how: Editing,
    flags: Sampling,
    shown: "Sequence[tuple[str, Image.Image]]" = (),
) -> None:
    """Load the run, draw the pictures, write them and a sheet of them, and print the paths.

    Args:
        command: the command's name, which is also that of the pipeline's method.
        options: the method's own keywords, including opened pictures.
        shown: file names and pictures to write too, first on the sheet; the given picture if empty.

    Raises:
        InputError: an input is invalid, or would be overwritten.
    """
    from ddpm.engine.loading import load
    from ddpm.engine.options import settings as settings_of
    from ddpm.images.photo import Opened, opened
    from ddpm.records.run_folder import RunFolder
    from ddpm.system.console import bar, console
    from ddpm.tasks.edit import edit
    from ddpm.tasks.inpaint import inpaint
    from ddpm.tasks.outpaint import outpaint
    from ddpm.tasks.restore import restore

    settings: dict[str, Any] = flags.given() | ({} if how.steps is None else {"steps": how.steps})
    whole = {} if how.whole is None else {"whole": how.whole}
    request = {"label": how.label, "n": how.n, "seed": how.seed, "fit": how.fit}
    pipe = load(run, how.device)
    sampling = settings_of(pipe, settings)
    photo = opened(photo)
    given = [Path(one.name) for one in (photo, *options.values()) if isinstance(one, Opened)]
    asked = (
        {name: value for name, value in options.items() if not isinstance(value, Opened)} | request | settings | whole
    )
    shown = shown or [("given.png", photo.image)]
    folder = how.out or RunFolder.open(run).pictures(command) / folder_name(given, asked, (pipe.weights, sampling))
    refuse_to_overwrite((folder / file for file in names(how.n, (file for file, _ in shown))), given)
    way = ", " + _way(options) if "method" in options else ""
    console.print(f"sampling      {sampling.summary(how.label is not None)}{way}", markup=False)
    tasks: dict[str, Callable[..., Any]] = {"edit": edit, "inpaint": inpaint, "outpaint": outpaint, "restore": restore}
    with bar(command) as progress:
        images = tasks[command](
            pipe, [photo], **options, **request, batch=how.batch, progress=progress, **settings, **whole
        )
    write(images, folder, shown)


def _way(options: dict[str, Any]) -> str:
    """The method that conditions on the known pixels: "mmps", "ddnm", "repaint 5x5"."""
    from ddpm.tasks.observed import recorded, settled

    name, value = next(iter(recorded(settled(options["method"], options.get("repaint"))).items()))
    return f"{name} {value}" if name == "repaint" else str(value)

"""What the commands that change given pictures have in common: their flags, and how they show what they made."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from ddpm.cli.sampling import Sampling

if TYPE_CHECKING:
    from PIL import Image


@Parameter(name="*")
@dataclass(frozen=True)
class Editing:
    """How many pictures are made, and where they go.

    Parameters
    ----------
    n
        How many new pictures.
    label
        A class by name or number.
    steps
        Steps of the solver; the run's own choice where not given.
    seed
        New picture i is a function of the seed and i alone.
    fit
        Bring the picture to the run's size and mode: crop, pad or stretch. Without it larger ones stay as they are.
    batch
        Pictures in memory at a time.
    whole
        Ask the network for pictures larger than in training at once, not in windows; sides must halve as it does.
    out
        Folder for the new pictures; RUN/COMMAND/… by default.
    device
        cpu, cuda or mps; the best there is by default.
    """

    n: Annotated[int, Parameter(name=["-n", "--n"])] = 1
    label: str | None = None
    steps: int | None = None
    seed: int = 0
    fit: Literal["crop", "pad", "stretch"] | None = None
    batch: int = 64
    whole: bool | None = None
    out: Path | None = None
    device: str | None = None


ONE = Editing()
"""One new picture."""


def make(
    run: Path,
    command: str,
    name: str,
    how: Editing,
    flags: Sampling,
    draw: Callable[..., "list[Image.Image]"],
    shown: "Sequence[tuple[str, Image.Image]]" = (),
) -> None:
    """Load the run, draw, write all pictures and a sheet of them, and print where they are.

    Args:
        name: of the folder for them, within RUN/COMMAND.
        draw: (pipeline, further keywords of its methods) -> new pictures.
        shown: pictures with their file names that are written too, and come first on the sheet.
    """
    from ddpm.cli.console import bar, console
    from ddpm.pipeline import load, run_folder

    settings: dict[str, Any] = flags.given() | ({} if how.steps is None else {"steps": how.steps})
    pipe = load(run, how.device)
    console.print(f"sampling      {pipe.settings(settings).words}", markup=False)
    with bar(command) as progress:
        images = draw(
            pipe,
            n=how.n,
            label=how.label,
            seed=how.seed,
            fit=how.fit,
            batch=how.batch,
            progress=progress,
            **settings | ({} if how.whole is None else {"whole": how.whole}),
        )
    write(images, how.out or run_folder(run) / command / name, shown)


def write(images: "Sequence[Image.Image]", folder: Path, shown: "Sequence[tuple[str, Image.Image]]" = ()) -> None:
    """PNGs and a sheet of them, paths printed."""
    from ddpm.cli.console import console
    from ddpm.codec import row
    from ddpm.provenance import save
    from ddpm.training.storage import disk_errors

    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for file, image in shown:
            save(image, folder / file)
        for i, image in enumerate(images):
            save(image, folder / f"{i:05d}.png")
        row([*(image for _, image in shown), *images]).save(folder / "sheet.png")
    count = f"{len(images)} pictures" if len(images) != 1 else "1 picture"
    console.print(f"{count} in {folder}", markup=False)
    console.print(str(folder / "sheet.png"), markup=False)

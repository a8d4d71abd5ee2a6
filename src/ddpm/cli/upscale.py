"""``ddpm upscale``."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ddpm.cli.sampling import UNCHANGED, Sampling

if TYPE_CHECKING:
    from PIL import Image

OTHERS = frozenset({".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"})
"""Endings of pictures that are not written."""


def upscale(
    run: Path,
    *pictures: Path,
    out: Annotated[Path | None, Parameter(name=["-o", "--out"])] = None,
    label: list[str] | None = None,
    steps: int | None = None,
    flags: Sampling = UNCHANGED,
    augment: float | None = None,
    consistent: bool | None = None,
    seed: int = 0,
    index: int = 0,
    batch: int = 64,
    device: str | None = None,
) -> None:
    """Make small pictures large, by a run of super-resolution: PNGs, written and their paths printed as they come.

    Parameters
    ----------
    run
        A run folder, or one checkpoint in it.
    pictures
        Of any size, and of the run's mode; an alpha or a depth of 16 bits beside is kept.
    out
        Folder for the results, which keep the pictures' names; RUN/upscaled/… by default. Of one picture, also a .png.
    label
        What they show, by name or number: one class for all, or one each.
    steps
        Steps of the solver; the run's own choice where not given.
    augment
        Noise on the enlarged picture before the network sees it, as a share of all noise: 0 to the run's s_max. The
        more, the more is made up.
    consistent
        Hold the mean of each box of the result to the small picture's pixel; on if not given, unless --augment.
    seed
        What is made up for picture i is a function of the seed and i alone.
    index
        The number of the first picture, to draw one again as it was among others.
    batch
        Pictures in memory at a time; those larger than in training are drawn one by one.
    device
        cpu, cuda or mps; the best there is by default.
    """
    from ddpm.cli.pictures import folder_name
    from ddpm.engine.loading import load
    from ddpm.engine.options import settings as settings_of
    from ddpm.records.provenance import save
    from ddpm.records.run_folder import RunFolder
    from ddpm.system.console import bar, console
    from ddpm.system.errors import InputError
    from ddpm.tasks.upscale import upscale as enlarge

    if not pictures:
        raise InputError("invalid", f"give pictures to make large, as in `ddpm upscale {run} small.png`")
    settings = flags.given() | ({} if steps is None else {"steps": steps})
    pipe = load(run, device)
    sampling, labels = settings_of(pipe, settings), label[0] if label and len(label) == 1 else label
    asked = {"label": "-".join(label) if label else None, "augment": augment, "consistent": consistent}
    name = folder_name(pictures, asked | {"seed": seed, "index": index}, (pipe.weights, sampling))
    paths = _places(pictures, out or RunFolder.open(run).pictures("upscaled") / name)
    console.print(f"upscaling     {sampling.summary(label is not None)}", markup=False)

    def keep(i: int, image: "Image.Image") -> None:
        save(image, paths[i])
        console.print(str(paths[i]), markup=False)

    with bar("upscaling") as progress:
        enlarge(
            pipe,
            pictures,
            label=labels,
            seed=seed,
            indices=range(index, index + len(pictures)),
            augment=augment,
            consistent=consistent,
            batch=batch,
            progress=progress,
            watch=keep,
            **settings,
        )


def _places(pictures: tuple[Path, ...], out: Path) -> list[Path]:
    """Where each result goes.

    Raises:
        InputError: two would go to the same place, or several or another kind than PNG to one file, or one to where a
            given one is.
    """
    from ddpm.cli.pictures import refuse_to_overwrite
    from ddpm.system.errors import InputError

    kind = "" if out.is_dir() else out.suffix.lower()
    if kind in OTHERS:
        raise InputError("invalid", f"{out} would be a {kind[1:]}, and results are PNGs; give a folder or a .png by -o")
    if kind == ".png" and len(pictures) > 1:
        raise InputError("invalid", f"{out} is one file, and {len(pictures)} pictures are given; give a folder by -o")
    paths = [out] if kind == ".png" else [out / f"{picture.stem}.png" for picture in pictures]
    if twice := [path for path, times in Counter(paths).items() if times > 1]:
        raise InputError("incompatible", f"two pictures would be written to {twice[0]}; give them names that differ")
    refuse_to_overwrite(paths, pictures)
    return paths

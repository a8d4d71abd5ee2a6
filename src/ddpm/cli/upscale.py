"""``ddpm upscale``."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ddpm.cli.flags import given
from ddpm.cli.output import note, say
from ddpm.cli.pictures import folder_name, refuse_to_overwrite
from ddpm.cli.prompts import alone, remarks
from ddpm.cli.sampling import UNCHANGED, Sampling
from ddpm.system.console import bar
from ddpm.system.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

OTHERS = frozenset({".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"})
"""Suffixes of formats that are not written."""


def upscale(
    run: Path,
    *pictures: Path,
    out: Annotated[Path | None, Parameter(name=["-o", "--out"])] = None,
    label: list[str] | None = None,
    prompt: list[str] | None = None,
    steps: int | None = None,
    flags: Sampling = UNCHANGED,
    augment: float | None = None,
    consistent: bool | None = None,
    seed: int = 0,
    index: int = 0,
    batch: int = 64,
    device: str | None = None,
) -> None:
    """Enlarge pictures with a super-resolution run; write PNGs and print their paths as they are made.

    Args:
        run: A super-resolution run folder, or one checkpoint in it.
        pictures: The pictures, of any size and the run's mode; an alpha channel and 16 bits per channel are kept.
        out: The folder to write to, under the pictures' names; RUN/upscaled/… by default. For one picture, also a .png.
        label: A class, by name or number: one for all pictures, or one for each.
        prompt: A description, for a run trained on captions: one for all pictures, or one for each.
        steps: The number of solver steps; the run's own by default.
        augment: Strength of the noise to add to the small picture, from 0 to the run's upscaling.s_max. More noise lets
            the model invent more detail.
        consistent: Make the mean of each box of the result equal the small picture's pixel; on by default, off with
            --augment.
        seed: The random seed. The noise for picture i depends on the seed and i alone.
        index: The index of the first picture, to reproduce one of several.
        batch: The number of pictures made at a time; those larger than in training are made one by one.
        device: cpu, cuda or mps; the best available by default.
    """
    from ddpm.engine.loading import load
    from ddpm.engine.options import settings as settings_of
    from ddpm.records.provenance import save
    from ddpm.records.run_folder import RunFolder
    from ddpm.tasks.upscale import upscale as enlarge

    if not pictures:
        raise InputError("missing", f"no pictures given; add some, as in `ddpm upscale {run} small.png`")
    settings = given(flags) | ({} if steps is None else {"steps": steps})
    pipe = load(run, device)
    sampling, labels, prompts = settings_of(pipe, settings), alone(label), alone(prompt)
    pipe.subjects(labels, prompts, len(pictures))  # an unknown label is refused before anything is printed
    asked = {
        "label": "-".join(label or []) or None,
        "prompt": "-".join(prompt or []) or None,
        "augment": augment,
        "consistent": consistent,
    }
    name = folder_name(pictures, asked | {"seed": seed, "index": index}, (pipe.weights, sampling))
    paths = _places(pictures, out or RunFolder.open(run).pictures("upscaled") / name)
    say(f"upscaling     {sampling.summary(label is not None or prompt is not None)}")
    note(*remarks(pipe, prompt or (), sampling))

    def keep(i: int, image: "Image.Image") -> None:
        save(image, paths[i])
        say(str(paths[i]))

    with bar("upscaling") as progress:
        enlarge(
            pipe,
            pictures,
            label=labels,
            prompt=prompts,
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
    """The path of each result.

    Raises:
        InputError: two results share a path, several go to one file, the format is not PNG, or a result would overwrite
            an input.
    """
    kind = "" if out.is_dir() else out.suffix.lower()
    if kind in OTHERS:
        raise InputError("invalid", f"cannot write {out} as {kind[1:]}, only as PNG; use a folder or a .png for --out")
    if kind == ".png" and len(pictures) > 1:
        raise InputError(
            "conflict", f"--out {out} is a single file, but there are {len(pictures)} pictures; use a folder"
        )
    paths = [out] if kind == ".png" else [out / f"{picture.stem}.png" for picture in pictures]
    if twice := [path for path, times in Counter(paths).items() if times > 1]:
        raise InputError("conflict", f"two pictures would be written to {twice[0]}; rename one of them")
    refuse_to_overwrite(paths, pictures)
    return paths

"""The commands that change given pictures: ``ddpm inpaint``, ``outpaint``, ``edit``, ``restore``, ``interpolate``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ddpm.cli.flags import given, refuse_flags
from ddpm.cli.output import note, say
from ddpm.cli.pictures import folder_name, names, refuse_to_overwrite, write
from ddpm.cli.prompts import alone, remarks
from ddpm.cli.sampling import UNCHANGED, Sampling
from ddpm.system.console import bar
from ddpm.system.errors import InputError
from ddpm.system.files import write_file
from ddpm.system.names import Fit

if TYPE_CHECKING:
    from PIL import Image

    from ddpm.images.photo import Opened


@Parameter(name="*")
@dataclass(frozen=True)
class Editing:
    """How many pictures to generate, and where to write them.

    Args:
        n: The number of pictures to generate.
        label: A class, by name or number.
        prompt: A description, for a run trained on captions.
        steps: The number of solver steps; the run's own by default.
        seed: The random seed. Picture i depends on the seed and i alone.
        fit: Resize and convert the picture to the run's size and mode. By default, larger pictures keep their size.
        batch: The number of pictures generated at a time.
        whole: Generate pictures larger than in training in one pass, not in windows; sides must be divisible as the
            network requires.
        out: The folder to write to; RUN/COMMAND/… by default.
        device: cpu, cuda or mps; the best available by default.
    """

    n: Annotated[int, Parameter(name=["-n", "--n"])] = 1
    label: str | None = None
    prompt: str | None = None
    steps: int | None = None
    seed: int = 0
    fit: Fit | None = None
    batch: int = 64
    whole: bool | None = None
    out: Path | None = None
    device: str | None = None


ONE = Editing()
"""One new picture."""


def inpaint(
    run: Path,
    photo: Path,
    *,
    mask: Path,
    method: str | None = None,
    repaint: str | None = None,
    editing: Editing = ONE,
    flags: Sampling = UNCHANGED,
) -> None:
    """Fill in the masked part of a picture. The rest is kept bit for bit.

    Args:
        run: A run folder, or one checkpoint in it.
        photo: The picture, of the run's size or larger.
        mask: A picture of the same size or proportions: what is white, coloured or erased is filled in.
        method: mmps (default), whose fill blends with its surroundings, or ddnm, which blends less well in a third of
            the time. A network that has learned to inpaint needs none.
        repaint: RePaint: resample back and forth, as JUMPxTIMES (in steps), such as 10x10; slow, but closer to the
            model's distribution.
    """
    from ddpm.images.photo import opened, read
    from ddpm.records.run_folder import RunFolder
    from ddpm.tasks.mask import preview, read_marked

    data = RunFolder.open(run).config().data
    picture, masking = opened(photo), opened(mask)
    known = read(picture, data.size, data.mode, editing.fit)
    fill, part = read_marked(masking, known, editing.fit)
    say(f"filling       {100 * fill.mean():.0f} % of {photo}: {part} of {mask}")
    shown = [("given.png", known.image), ("preview.png", preview(known, fill))]
    make(run, "inpaint", picture, {"mask": masking, "method": method, "repaint": repaint}, editing, flags, shown)


def outpaint(
    run: Path,
    photo: Path,
    *,
    left: int = 0,
    right: int = 0,
    top: int = 0,
    bottom: int = 0,
    method: str | None = None,
    repaint: str | None = None,
    editing: Editing = ONE,
    flags: Sampling = UNCHANGED,
) -> None:
    """Extend a picture beyond its borders, on a canvas that may be larger than the training images.

    Args:
        run: A run folder, or one checkpoint in it.
        photo: The picture, of the run's size or larger.
        left: The number of pixels to add on the left.
        right: The number of pixels to add on the right.
        top: The number of pixels to add at the top.
        bottom: The number of pixels to add at the bottom.
        method: mmps (default), or ddnm, which takes a third of the time and leaves a visible border. A network that has
            learned to inpaint needs none.
        repaint: RePaint: resample back and forth, as JUMPxTIMES (in steps), such as 1x5.
    """
    margins = {"left": left, "right": right, "top": top, "bottom": bottom}
    asked = {name: value for name, value in margins.items() if value} | {"method": method, "repaint": repaint}
    make(run, "outpaint", photo, asked, editing, flags)


def edit(run: Path, photo: Path, *, strength: float, editing: Editing = ONE, flags: Sampling = UNCHANGED) -> None:
    """Change a picture: add noise to it and denoise it again (SDEdit).

    Args:
        run: A run folder, or one checkpoint in it.
        photo: The picture, of the run's size or larger.
        strength: How much to change, from 0 (the picture itself) to 1 (a new sample).
    """
    make(run, "edit", photo, {"strength": strength}, editing, flags)


def restore(
    run: Path,
    photo: Path,
    *,
    operator: str,
    method: str | None = None,
    noise: float | None = None,
    editing: Editing = ONE,
    flags: Sampling = UNCHANGED,
) -> None:
    """Restore a damaged picture, so that the same damage to the result gives the picture again.

    Args:
        run: A run folder, or one checkpoint in it; no training on such damage is needed.
        photo: The damaged picture.
        operator: The damage: grey (no colour), downsample:4 (means of 4 x 4 blocks), blur:2 (Gaussian, in pixels),
            mask:mask.png (white is missing, as in `ddpm inpaint`).
        method: mmps (default), which fits the picture best, or ddnm, which takes a third of the time.
        noise: Standard deviation of the noise in the picture, in grey levels (0 to 255); for blur, that of rounding by
            default.
    """
    from ddpm.tasks.restore import mask_of

    if mask := mask_of(operator, noise):
        inpaint(run, photo, mask=Path(mask), method=method, editing=editing, flags=flags)
    else:
        make(run, "restore", photo, {"operator": operator, "method": method, "noise": noise}, editing, flags)


def interpolate(
    run: Path,
    first: Path | None = None,
    last: Path | None = None,
    *,
    n: Annotated[int, Parameter(name=["-n", "--n"])] = 9,
    label: list[str] | None = None,
    prompt: list[str] | None = None,
    steps: int | None = None,
    flags: Sampling = UNCHANGED,
    seed: int | None = None,
    fit: Fit | None = None,
    batch: int = 64,
    out: Path | None = None,
    device: str | None = None,
) -> None:
    """Interpolate between two pictures, prompts or classes: a strip, and a GIF that plays back and forth.

    Args:
        run: A run folder, or one checkpoint in it.
        first: The first picture, of the run's size or larger. Without pictures, the same noise is sampled between two
            prompts or two labels.
        last: The last picture, of the same size.
        n: The number of pictures, including both ends, which are the model's reconstructions of the given pictures.
        label: The class of both ends, or one for each: `--label cat --label dog`.
        prompt: The description of both ends, or one for each: `--prompt "red heart" --prompt "blue heart"`.
        steps: The number of solver steps; the run's own by default. With pictures: this many to the noise and again
            back; 50 by default.
        seed: Without pictures: the random seed; 0 by default.
        fit: Resize and convert the pictures to the run's size and mode.
        batch: The number of pictures generated at a time.
        out: The folder to write to; RUN/interpolate/… by default.
        device: cpu, cuda or mps; the best available by default.
    """
    from ddpm.engine.loading import load
    from ddpm.records.run_folder import RunFolder
    from ddpm.report.trajectory import to_and_fro
    from ddpm.tasks.interpolate import interpolate as between
    from ddpm.tasks.interpolate import interpolate_conditions

    ends = [path for path in (first, last) if path is not None]
    if len(ends) == 1:
        raise InputError("missing", f"{first} is one picture; give two, or none and two of --prompt or --label")
    if ends:
        refuse_flags("pictures", **given(flags), seed=seed)
    else:
        refuse_flags("images without pictures", fit=fit)
    pipe, seed = load(run, device), seed or 0
    shown = {"label": " ".join(label or []) or None, "prompt": " ".join(prompt or []) or None, "n": n}
    asked = shown | ({"fit": fit} if ends else {"seed": seed, **given(flags)}) | {"steps": steps}
    name = folder_name(ends, asked, (pipe.weights, label, prompt))
    folder = out or RunFolder.open(run).pictures("interpolate") / name
    refuse_to_overwrite((folder / file for file in names(n, ["film.gif"])), ends)
    note(*remarks(pipe, prompt or (), pipe.sampling))
    how: dict[str, Any] = {"n": n, "label": alone(label), "prompt": alone(prompt), "batch": batch}
    how |= {} if steps is None else {"steps": steps}
    with bar("interpolate") as progress:
        if first is not None and last is not None:
            images = between(pipe, first, last, **how, fit=fit, progress=progress)
        else:
            images = interpolate_conditions(pipe, **how, **given(flags), seed=seed, progress=progress)
    write(images, folder)
    write_file(folder / "film.gif", to_and_fro(images))
    say(str(folder / "film.gif"))


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
        options: the task's own keywords, including opened pictures.
        shown: file names and pictures to write too, first on the sheet; the given picture if empty.

    Raises:
        InputError: an input is invalid, or would be overwritten.
    """
    from ddpm.engine.loading import load
    from ddpm.engine.options import settings as settings_of
    from ddpm.images.photo import Opened, opened
    from ddpm.records.run_folder import RunFolder
    from ddpm.tasks.edit import edit
    from ddpm.tasks.inpaint import inpaint
    from ddpm.tasks.observed import Repaint, settled
    from ddpm.tasks.outpaint import outpaint
    from ddpm.tasks.restore import restore

    tasks: dict[str, Callable[..., Any]] = {"edit": edit, "inpaint": inpaint, "outpaint": outpaint, "restore": restore}
    settings: dict[str, Any] = given(flags) | ({} if how.steps is None else {"steps": how.steps})
    whole = {} if how.whole is None else {"whole": how.whole}
    request = {"label": how.label, "prompt": how.prompt, "n": how.n, "seed": how.seed, "fit": how.fit}
    pipe = load(run, how.device)
    sampling = settings_of(pipe, settings)
    pipe = pipe.prepared(sampling)
    pipe.subjects(how.label, how.prompt, how.n)  # an unknown label is refused before anything is printed
    photo = opened(photo)
    inputs = [Path(one.name) for one in (photo, *options.values()) if isinstance(one, Opened)]
    asked = {name: value for name, value in options.items() if not isinstance(value, Opened)}
    name = folder_name(inputs, asked | request | settings | whole, (pipe.weights, sampling))
    folder = how.out or RunFolder.open(run).pictures(command) / name
    shown = shown or [("given.png", photo.image)]
    refuse_to_overwrite((folder / file for file in names(how.n, (file for file, _ in shown))), inputs)
    said = [sampling.summary(how.label is not None or how.prompt is not None)]
    if "method" in options:
        learned = pipe.config.inpainting and command != "restore"
        way = settled(options["method"], options.get("repaint"), learned=learned)
        said.append(f"repaint {way}" if isinstance(way, Repaint) else way)
    say(f"sampling      {', '.join(said)}")
    note(*remarks(pipe, () if how.prompt is None else (how.prompt,), sampling))
    with bar(command) as progress:
        images = tasks[command](
            pipe, [photo], **options, **request, batch=how.batch, progress=progress, **settings, **whole
        )
    write(images, folder, shown)

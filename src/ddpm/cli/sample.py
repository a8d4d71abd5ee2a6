"""``ddpm sample``."""

from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ddpm.cli.flags import call
from ddpm.cli.sampling import UNCHANGED, Sampling

if TYPE_CHECKING:
    from PIL import Image

    from ddpm.config.sampling import SamplingConfig
    from ddpm.engine.trajectory import Trajectory


def sample(
    run: Path | None = None,
    *,
    n: Annotated[int | None, Parameter(name=["-n", "--n"])] = None,
    label: list[str] | None = None,
    steps: int | None = None,
    size: str | None = None,
    whole: bool | None = None,
    flags: Sampling = UNCHANGED,
    seed: int | None = None,
    batch: int | None = None,
    out: Path | None = None,
    device: str | None = None,
    trajectory: bool | None = None,
    then: Path | None = None,
    from_: Annotated[Path | None, Parameter(name="--from")] = None,
) -> None:
    """Draw samples from a run, or reproduce a sample; write PNGs and a sheet of them, and print the paths.

    Parameters
    ----------
    run
        A run folder, or one checkpoint in it.
    n
        The number of images to draw; 16 by default.
    label
        A class, by name or number; several are taken in turn.
    steps
        The number of solver steps; the run's own by default.
    size
        Side of the images, or height x width, if larger than in training: drawn in overlapping windows.
    whole
        Draw images of another --size in one pass, not in windows; sides must be divisible as the network needs.
    seed
        The random seed; 0 by default. Image i depends on the seed and i alone.
    batch
        The number of images drawn at a time; 64 by default.
    out
        The folder to write to; RUN/samples/… by default.
    device
        cpu, cuda or mps; the best available by default.
    trajectory
        Also write how each image forms, as a GIF and a strip: the noisy image, and the expected clean image.
    then
        A super-resolution run to enlarge the samples with, by the same labels if it has them. The small samples are
        kept in the subfolder base.
    from_
        A picture written by `ddpm sample`: reproduce it from its metadata.
    """
    asked = locals()  # the flags, and nothing else yet
    from ddpm.system.errors import InputError

    del asked["run"], asked["from_"], asked["flags"]
    asked["sampling"] = flags.given()
    if from_ is not None and run is not None:
        raise InputError("conflict", "a run cannot be combined with --from, whose picture names its run; drop the run")
    if from_ is not None:
        call(_repeat, "a picture drawn again by --from", from_, **asked)
    elif run is not None:
        call(_new, "new samples", run, **asked)
    else:
        raise InputError(
            "missing", "no run given; add a run folder, as in `ddpm sample runs/photos`, or --from PICTURE"
        )


def _new(
    run: Path,
    *,
    n: int = 16,
    label: list[str] | None = None,
    steps: int | None = None,
    size: str | None = None,
    whole: bool | None = None,
    sampling: Mapping[str, Any] | None = None,
    seed: int = 0,
    batch: int = 64,
    out: Path | None = None,
    device: str | None = None,
    trajectory: bool = False,
    then: Path | None = None,
) -> None:
    from ddpm.engine.loading import load
    from ddpm.engine.trajectory import Trajectory
    from ddpm.records.run_folder import RunFolder
    from ddpm.system.errors import InputError
    from ddpm.system.units import size as parse_size

    asked = {"steps": steps, "size": None if size is None else parse_size(size), "whole": whole}
    settings = {**(sampling or {}), **{name: value for name, value in asked.items() if value is not None}}
    if then is not None and trajectory:
        raise InputError("conflict", "--trajectory cannot be combined with --then; drop one of them")
    pipe, larger = load(run, device), None if then is None else load(then, device)
    labels = [label[i % len(label)] for i in range(n)] if label else None
    from ddpm.engine.options import asked as asked_of
    from ddpm.engine.options import settings as settings_of
    from ddpm.system.console import bar, console
    from ddpm.tasks import generate
    from ddpm.tasks.cascade import passed_on
    from ddpm.tasks.upscale import upscale

    how = settings_of(pipe, settings)
    passed = None
    if larger is not None:
        needed = asked_of(pipe, settings, labels, n)
        passed = passed_on(needed.run, larger, needed.labels, n)

    if pipe.config.student:
        console.print(f"model         {pipe.config.student}", markup=False)
    console.print(f"sampling      {how.summary(label is not None)}", markup=False)
    draw: Callable[..., Any] = generate.trajectory if trajectory else generate.sample
    with bar("sampling") as progress:
        drawn = draw(pipe, n, label=labels, seed=seed, batch=batch, progress=progress, **settings)
    files = RunFolder.open(run)
    folder = out or files.pictures("samples") / (files.stage + _name(label, seed, how, settings, then))
    images = drawn.images if isinstance(drawn, Trajectory) else drawn
    if larger is not None:
        _write(images, folder / "base")
        unknown = f", without labels: {then} does not have all of these classes" if labels and passed is None else ""
        console.print(f"upscaling     {settings_of(larger, {}).words}{unknown}", markup=False)
        with bar("upscaling") as progress:
            small = [folder / "base" / f"{i:05d}.png" for i in range(n)]
            large = upscale(larger, small, label=passed, seed=seed, batch=batch, progress=progress)
        assert isinstance(large, list), "of a list"
        images = large
    _write(images, folder)
    if isinstance(drawn, Trajectory):
        _film(drawn, folder)


def _repeat(picture: Path, *, out: Path | None = None, device: str | None = None) -> None:
    from ddpm.engine.loading import load
    from ddpm.records.provenance import Provenance, save
    from ddpm.system.console import console
    from ddpm.system.errors import InputError
    from ddpm.tasks.generate import again

    record = Provenance.read(picture)
    pipe = load(record.find_run(picture), device)
    if pipe.weights != record.weights:
        raise InputError(
            "incompatible",
            f"{picture} was drawn with weights {record.weights}, but {pipe.source} has {pipe.weights}; "
            "sample from the checkpoint that drew it, if the run was trained further",
        )
    image = again(pipe, record)
    path = (out or picture.parent) / f"{picture.stem}-again.png"
    save(image, path)
    console.print(str(path), markup=False)


def _name(label: list[str] | None, seed: int, how: "SamplingConfig", asked: dict[str, Any], then: Path | None) -> str:
    """A folder name for these samples: label, seed, solver and guidance, then further options and a second run."""
    label = label or []
    some = label if len(label) < 4 else [*label[:3], sha256(repr(label).encode()).hexdigest()[:6]]
    parts: list[Any] = [*some, f"seed{seed}", how.short, f"guidance{how.guidance_scale:g}"]
    further = asked | ({} if how.guidance is None or how.guidance.guide is None else {"guide_with": how.guidance.guide})
    parts += [f"{name}{value}" for name, value in further.items() if name not in ("solver", "steps", "guidance")]
    parts += [] if then is None else ["then", then.resolve().name]
    return "-".join("".join(c if c.isalnum() or c == "." else "_" for c in str(part)) for part in parts)


def _write(images: "list[Image.Image]", folder: Path) -> None:
    import numpy as np

    from ddpm.images.sheets import png, sheet
    from ddpm.records.provenance import save
    from ddpm.system.console import console
    from ddpm.system.files import write_file
    from ddpm.system.units import say_count

    for i, image in enumerate(images):
        save(image, folder / f"{i:05d}.png")
    pixels = np.stack([np.atleast_3d(np.asarray(image)) for image in images])
    write_file(folder / "grid.png", png(sheet(pixels)))
    console.print(f"{say_count(len(images), 'picture')} in {folder}", markup=False)
    console.print(str(folder / "grid.png"), markup=False)


def _film(drawn: "Trajectory", folder: Path) -> None:
    from ddpm.report import film
    from ddpm.system.console import console
    from ddpm.system.files import write_file

    for i in range(len(drawn.images)):
        write_file(folder / f"{i:05d}.gif", film.gif(drawn.stages, i))
        write_file(folder / f"{i:05d}-trajectory.png", film.strip(drawn.stages, i))
    console.print(f"{len(drawn.images)} trajectories in the same folder, as .gif and -trajectory.png", markup=False)

"""``ddpm sample``."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ddpm.cli.flags import given, refuse_flags
from ddpm.cli.output import say
from ddpm.cli.sampling import UNCHANGED, Sampling
from ddpm.system.console import bar
from ddpm.system.errors import InputError
from ddpm.system.files import write_file
from ddpm.system.units import say_count

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

    Args:
        run: A run folder, or one checkpoint in it.
        n: The number of images to draw; 16 by default.
        label: A class, by name or number. Repeat the flag to alternate between several.
        steps: The number of solver steps; the run's own by default.
        size: Side of the images, or height x width, if larger than in training: drawn in overlapping windows.
        whole: Draw images of another --size in one pass, not in windows; sides must be divisible as the network
            requires.
        seed: The random seed; 0 by default. Image i depends on the seed and i alone.
        batch: The number of images drawn at a time; 64 by default.
        out: The folder to write to; RUN/samples/… by default.
        device: cpu, cuda or mps; the best available by default.
        trajectory: Also write how each image forms, as a GIF and a strip: the noisy image, and the expected clean
            image.
        then: A super-resolution run to enlarge the samples with, by the same labels if it has them. The small samples
            are kept in the subfolder base.
        from_: A picture written by `ddpm sample`: reproduce it from its metadata.
    """
    if from_ is not None:
        if run is not None:
            raise InputError(
                "conflict", "a run cannot be combined with --from, whose picture names its run; drop the run"
            )
        asked = {"n": n, "label": label, "steps": steps, "size": size, "whole": whole, "seed": seed, "batch": batch}
        kind = "a picture drawn again by --from"
        refuse_flags(kind, **asked, trajectory=trajectory, then=then, **given(flags))
        _again(from_, out, device)
        return
    if run is None:
        raise InputError(
            "missing", "no run given; add a run folder, as in `ddpm sample runs/photos`, or --from PICTURE"
        )
    from ddpm.engine.loading import load
    from ddpm.engine.options import asked as asked_of
    from ddpm.engine.options import settings as settings_of
    from ddpm.engine.trajectory import Trajectory
    from ddpm.records.run_folder import RunFolder
    from ddpm.system.units import size as parse_size
    from ddpm.tasks import generate
    from ddpm.tasks.upscale import passed_on, upscale

    own = {"steps": steps, "size": None if size is None else parse_size(size), "whole": whole}
    settings = given(flags) | {name: value for name, value in own.items() if value is not None}
    if then is not None and trajectory:
        raise InputError("conflict", "--trajectory cannot be combined with --then; drop one of them")
    pipe, larger = load(run, device), None if then is None else load(then, device)
    n, seed, batch = 16 if n is None else n, seed or 0, 64 if batch is None else batch
    labels = [label[i % len(label)] for i in range(n)] if label else None
    how = settings_of(pipe, settings)
    if larger is not None:
        needed = asked_of(pipe, settings, labels, n)
        passed = passed_on(needed.run, larger, needed.labels, n)

    if pipe.config.student:
        say(f"model         {pipe.config.student}")
    say(f"sampling      {how.summary(label is not None)}")
    if pipe.guided is not None and how.guidance == pipe.guided.chosen and (labels or pipe.guided.away):
        say(f"tuned         {pipe.guided.line}")
    draw: Callable[..., Any] = generate.trajectory if trajectory else generate.sample
    with bar("sampling") as progress:
        drawn = draw(pipe, n, label=labels, seed=seed, batch=batch, progress=progress, **settings)
    files = RunFolder.open(run)
    folder = out or files.pictures("samples") / (files.stage + _name(label, seed, how, settings, then))
    images = drawn.images if isinstance(drawn, Trajectory) else drawn
    if larger is not None:
        _write(images, folder / "base")
        unknown = f", without labels: {then} does not have all of these classes" if labels and passed is None else ""
        say(f"upscaling     {settings_of(larger, {}).words}{unknown}")
        with bar("upscaling") as progress:
            small = [folder / "base" / f"{i:05d}.png" for i in range(n)]
            images = upscale(larger, small, label=passed, seed=seed, batch=batch, progress=progress)
    _write(images, folder)
    if isinstance(drawn, Trajectory):
        _film(drawn, folder)


def _again(picture: Path, out: Path | None, device: str | None) -> None:
    """Reproduce a picture next to it, or in another folder."""
    from ddpm.engine.loading import load
    from ddpm.records.provenance import Provenance, save
    from ddpm.tasks.generate import again

    record = Provenance.read(picture)
    pipe = load(record.find_run(picture), device)
    if pipe.weights != record.weights:
        raise InputError(
            "incompatible",
            f"{picture} was drawn with weights {record.weights}, but {pipe.source} has {pipe.weights}; "
            "sample from the checkpoint that drew it, if the run was trained further",
        )
    path = (out or picture.parent) / f"{picture.stem}-again.png"
    save(again(pipe, record), path)
    say(str(path))


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

    for i, image in enumerate(images):
        save(image, folder / f"{i:05d}.png")
    pixels = np.stack([np.atleast_3d(np.asarray(image)) for image in images])
    write_file(folder / "grid.png", png(sheet(pixels)))
    say(f"{say_count(len(images), 'picture')} in {folder}", str(folder / "grid.png"))


def _film(drawn: "Trajectory", folder: Path) -> None:
    from ddpm.report.trajectory import gif, strip

    for i in range(len(drawn.images)):
        write_file(folder / f"{i:05d}.gif", gif(drawn.stages, i))
        write_file(folder / f"{i:05d}-trajectory.png", strip(drawn.stages, i))
    say(f"{len(drawn.images)} trajectories in the same folder, as .gif and -trajectory.png")

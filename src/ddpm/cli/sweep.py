"""``ddpm sweep``."""

from collections.abc import Iterator
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ddpm.cli.numbers import integers, words
from ddpm.cli.output import logged_bar, note, say
from ddpm.cli.prompts import remarks
from ddpm.system.errors import InputError
from ddpm.system.files import disk_errors, write_file

if TYPE_CHECKING:
    from ddpm.records.sweep import SweepRecord


def sweep(
    run: Path,
    *,
    solvers: list[str] | None = None,
    steps: list[str] | None = None,
    grids: list[str] | None = None,
    guidance: list[str] | None = None,
    n: Annotated[int, Parameter(name=["-n", "--n"])] = 8,
    label: list[str] | None = None,
    prompt: list[str] | None = None,
    seed: int = 0,
    data: str | None = None,
    samples: int = 200,
    out: Path | None = None,
    device: str | None = None,
) -> None:
    """Compare every combination of solvers, grids, steps and guidance on the same seeds.

    Writes a sheet of samples and a chart of quality against network evaluations: the Fréchet distance to the run's
    data, and for deterministic solvers the distance to the run's many-step images. Re-run the same command to resume;
    it reuses what it has measured.

    Args:
        run: A run folder, or one checkpoint in it.
        solvers: Solvers to compare, as in ddim,heun; ddim,dpm++-2m,unipc-2 by default.
        steps: Numbers of steps; 5,10,20 by default.
        grids: Grids by name, as in trailing,quadratic; the run's own by default.
        guidance: Guidance scales, as in 1,1.5,3; the run's own by default.
        n: The number of images to show for each combination.
        label: The class of the images shown, by name or number; all by default. Repeat the flag to alternate between
            several.
        prompt: A description of the images shown, for a run trained on captions. Repeat the flag to alternate between
            several.
        seed: The random seed. Image i depends on the seed and i alone.
        data: The real images; the run's data by default.
        samples: The number of samples for each Fréchet distance; 0 to skip it.
        out: The folder to write to; RUN/sweeps/… by default.
        device: cpu, cuda or mps; the best available by default.
    """
    from ddpm.engine.loading import load
    from ddpm.evaluation.sweep import plan
    from ddpm.evaluation.sweep import sweep as swept
    from ddpm.records.run_folder import RunFolder
    from ddpm.records.sweep import FILE
    from ddpm.report import sweeps
    from ddpm.report.canvas import to_bytes

    if find_spec("matplotlib") is None:
        raise InputError("missing", 'matplotlib is not installed; install it with pip install "ddpm[report]"')
    names = words("--solvers", solvers) or ["ddim", "dpm++-2m", "unipc-2"]
    counts = integers("--steps", steps, "5,10,20") or [5, 10, 20]
    typed = words("--guidance", guidance)
    if not all(word.replace(".", "", 1).isdecimal() for word in typed):
        raise InputError("invalid", f"--guidance expects non-negative numbers, such as 1,1.5,3, not {','.join(typed)}")
    scales = [float(word) for word in typed]
    pipe = load(run, device)
    todo = plan(
        pipe,
        names,
        counts,
        words("--grids", grids),
        scales,
        n=n,
        labels=label or [],
        prompts=prompt or [],
        seed=seed,
        data=data,
        samples=samples,
    )
    note(*remarks(pipe, prompt or (), todo.ways[0]))
    doubled = ", doubled by guidance" if any(how.guidance is not None for how in todo.ways) else ""
    say(f"sweep         {len(todo.ways)} combinations, {n} images each, seed {seed}")
    say(f"cost          up to {todo.cost:,} single-image network evaluations{doubled}")
    folder = out or RunFolder.open(run).sweeps / _name(names, counts, scales, seed, f"{pipe.weights} {todo}")
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with logged_bar("sampling") as progress:
        record, shown, solutions = swept(pipe, todo, progress)
    say(*_lines(record))
    note(*record.notes)
    record.write(folder / FILE)
    figures = {"samples.png": sweeps.samples(record, shown, solutions), "chart.png": sweeps.chart(record)}
    for name, figure in figures.items():
        if figure is not None:
            write_file(folder / name, to_bytes(figure, "png"))
            say(str(folder / name))
    say(str(folder / FILE))


def _lines(record: "SweepRecord") -> Iterator[str]:
    """A record as a table for the terminal."""
    names = [f"{cell.sampling.solver.name}, {cell.sampling.visits}" for cell in record.cells]
    wide = max(map(len, names))
    if record.quality is not None:
        q = record.quality
        floor = "" if q.floor is None else f"; {q.n:,} real images score {q.floor:.4g}"
        yield f"Fréchet       {q.n:,} samples against {q.reference.images:,} of {q.reference.source}{floor}"
    long = record.solutions[0]
    yield f"distance      from the {long.steps}-step solution of {long.solver.name}, over {record.n} images"
    yield f"{'guidance':>8}  {'solver, grid':<{wide}}  {'steps':>5}  {'evals':>5}  {'distance':>8}  Fréchet"
    for cell, name in zip(record.cells, names, strict=True):
        how, f = cell.sampling, cell.frechet
        off = "—" if cell.distance is None else f"{cell.distance:.4f}"
        found = "—" if f is None else f"{f.value:.4g} ({f.low:.4g} to {f.high:.4g})"
        yield f"{how.guidance_scale:>8g}  {name:<{wide}}  {how.steps:>5}  {cell.evaluations:>5}  {off:>8}  {found}"


def _name(solvers: list[str], steps: list[int], guidance: list[float], seed: int, question: str) -> str:
    """A folder name unique to this sweep."""
    parts = ["-".join(solvers) if len(solvers) <= 3 else f"{len(solvers)}-solvers"]
    parts.append(f"steps{'-'.join(map(str, steps))}")
    if guidance:
        parts.append(f"guidance{'-'.join(f'{scale:g}' for scale in guidance)}")
    return "-".join([*parts, f"seed{seed}", sha256(question.encode()).hexdigest()[:6]])

"""The runs: what they can do, how they were trained, and how good they are."""

from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

from fastapi import APIRouter
from fastapi.responses import FileResponse

from ddpm.config.options import options
from ddpm.config.sampling import SamplingConfig
from ddpm.records.run_folder import RunFolder
from ddpm.records.score import FILE, Score
from ddpm.serve.orders import KEPT_BACK
from ddpm.serve.own_api import Its, by_flag
from ddpm.serve.progress import progress
from ddpm.serve.server import Server
from ddpm.system.errors import InputError
from ddpm.system.names import GridName, SolverName

router = APIRouter(prefix="/api")
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; sandbox allow-scripts"
)
"""A report's scripts and styles are inline."""


@router.get("/runs")
def runs(server: Its) -> list[dict[str, Any]]:
    """The runs that can be sampled, without loading them; for a damaged one, the error."""
    found = []
    for name, folder in server.catalog.folders().items():
        try:
            found.append(summary(server, name, folder))
        except InputError as error:
            found.append({"name": name, "error": server.words.plain(str(error))})
    return found


def summary(server: Server, name: str, folder: RunFolder) -> dict[str, Any]:
    """The capabilities of a run."""
    config = folder.config()
    return {
        "name": name,
        "classes": config.data.classes if "label" in config.conditions else [],
        "text": config.text is not None,
        "size": list(config.data.size),
        "mode": config.data.mode,
        "images": config.data.images,
        "trained": config.training.images,
        "upscales": None if config.upscaling is None else config.upscaling.scale,
        "student": config.student if config.paths else None,
        "sampling": config.sampling.model_dump(mode="json"),
        "loaded": name in server.catalog.names(),
        "score": score(folder),
        "report": folder.report.exists(),
        "training": server.trainings is not None and server.trainings.running == name,
    }


def score(folder: RunFolder) -> dict[str, Any] | None:
    """The newest score of a run; None if it has none."""
    files = sorted(folder.evaluations.glob(f"*/{FILE}"), key=lambda path: path.stat().st_mtime)
    for path in reversed(files):
        with suppress(InputError):
            found = Score.read(path)
            return {"frechet": found.frechet.value, "features": found.measure.features.name, "n": found.measure.n}
    return None


@router.get("/runs/{name}")
def run(name: str, server: Its) -> dict[str, Any]:
    """The capabilities of a run and its default sampling settings, by flag; loads the run."""
    loaded = server.catalog.get(name).run
    return {
        **summary(server, name, _folder(server, name)),
        "classes": loaded.classes,
        "needs_label": loaded.needs_label,
        "needs_prompt": loaded.needs_prompt,
        "settings": by_flag(loaded.sampling),
    }


@router.get("/choices")
def choices() -> dict[str, Any]:
    """The solvers and grids by name, and what each setting means."""
    settings = {name: option.flag.help for name, option in options(SamplingConfig).items() if name not in KEPT_BACK}
    return {"solvers": list(get_args(SolverName)), "grids": list(get_args(GridName)), "settings": settings}


@router.get("/runs/{name}/progress")
def run_progress(name: str, server: Its) -> dict[str, Any]:
    """The progress of a run's training, by its log."""
    return progress(_folder(server, name))


@router.get("/runs/{name}/report")
def report(name: str, server: Its) -> FileResponse:
    """The report of a run, if `ddpm report` wrote one."""
    folder = _folder(server, name)
    path = folder.report
    if not within(folder.path, path):
        raise InputError("missing", f"{name} has no report; write it with `ddpm report`")
    return FileResponse(path, media_type="text/html", headers={"content-security-policy": REPORT_POLICY})


@router.get("/runs/{name}/previews/{file}")
def run_preview(name: str, file: str, server: Its) -> FileResponse:
    """A preview drawn during training."""
    folder = _folder(server, name)
    path = folder.previews / file
    if "/" in file or "\\" in file or path.suffix != ".png" or not within(folder.path, path):
        raise InputError("missing", f"no picture is named {file!r}")
    return FileResponse(path, media_type="image/png")


def within(folder: Path, path: Path) -> bool:
    """Whether a file is in a folder, rather than a link to elsewhere."""
    try:
        return path.is_file() and path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError):  # a name that is too long, or has a null character
        return False


def _folder(server: Server, name: str) -> RunFolder:
    known = server.catalog.folders()
    if name in known:
        return known[name]
    if server.trainings is not None and name in server.trainings.names():
        return RunFolder(server.trainings.runs / name)
    raise InputError("unknown", f"unknown run {name!r}")

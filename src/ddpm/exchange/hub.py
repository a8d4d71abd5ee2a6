"""Runs on huggingface.co: opened by ``hf://owner/name``, and uploaded."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ddpm.config.guidance import Guide
from ddpm.records.average import folder_of
from ddpm.records.card import front_matter
from ddpm.records.run_folder import RunFolder
from ddpm.system.errors import InputError
from ddpm.system.files import read_file
from ddpm.system.names import HUB

ADDRESS = re.compile(rf"{HUB}(?P<name>[\w.-]+/[\w.-]+)(?:@(?P<revision>.+))?")
PARTS = ("codec", "classifier", "text")
"""The folders of a run that hold models of their own."""
FILES = (
    *("config.json", "model.safetensors", "tuned.json", "guidance.json", "latents.json", "model_index.json"),
    *(f"{part}/{name}" for part in PARTS for name in ("*.json", "*.safetensors")),
    *("text/*.txt", "text/*.model"),
)
"""Patterns of the files that sampling needs, except averages of the weights, and of those that mark a pipeline."""


def download(address: str) -> Path:
    """The folder of a run on huggingface.co, in the cache of huggingface_hub, which also works offline.

    Only settings, safetensors and vocabularies are downloaded.

    Args:
        address: "hf://owner/name", or "hf://owner/name@revision".

    Raises:
        InputError: the address is invalid, the repository cannot be reached or is no run, or huggingface_hub is not
            installed.
    """
    found = ADDRESS.fullmatch(address)
    if found is None:
        raise InputError(
            "invalid", f"{address} is not the address of a run; write it as {HUB}owner/name, or …@revision"
        )
    name, revision = found["name"], found["revision"]
    hub = _hub()
    with _reached(address):
        path = Path(hub.snapshot_download(name, revision=revision, allow_patterns=list(FILES)))
    if (path / "model_index.json").exists():
        raise InputError(
            "incompatible",
            f"{address} is a pipeline of diffusers; download it with `hf download {name} --local-dir {name}`, and "
            f"convert it with `ddpm import {name}`",
        )
    if further := _averages(RunFolder.open(path)):
        patterns = [pattern for one in further for pattern in (one, f"{one}/*", f"{one}.safetensors")]
        with _reached(address):
            hub.snapshot_download(name, revision=revision, allow_patterns=patterns)
    return path


def push(path: Path, name: str, *, private: bool = False) -> list[str]:
    """Upload a run: what sampling needs, its card and its previews, but no checkpoints.

    Args:
        path: the run folder.
        name: "owner/name".
        private: whether a new repository is private.

    Returns:
        The uploaded files.

    Raises:
        InputError: there is no finished run, the name is invalid, or the repository cannot be written.
    """
    if ADDRESS.fullmatch(HUB + name) is None or "@" in name:
        raise InputError("invalid", f"{name} is not the name of a repository; write it as owner/name")
    run = RunFolder.open(path)
    if run.checkpoint is not None:
        raise InputError("invalid", f"{path} is a checkpoint; push its run folder, {run.path}")
    if not run.weights_file.exists():
        run.weights()  # raises an error that names what is missing
    api, files = _hub().HfApi(), published(run)
    with _reached(name):
        api.create_repo(name, private=private, exist_ok=True)
        api.upload_folder(
            repo_id=name, folder_path=run.path, allow_patterns=files, commit_message="Upload a run of ddpm"
        )
        if run.card.exists():
            card = _card(run, name).encode()
            api.upload_file(repo_id=name, path_or_fileobj=card, path_in_repo=run.card.name)
            files = [*files, run.card.name]
    return sorted(files)


def published(run: RunFolder) -> list[str]:
    """The files of a run that are uploaded, by their paths in it, without its card."""
    further = [path for one in _averages(run) for path in (run.path / one, run.path / f"{one}.safetensors")]
    found = [path for pattern in (*FILES, f"{run.previews.name}/*.png") for path in run.path.glob(pattern)]
    found += [file for path in further for file in ([path] if path.is_file() else path.glob("*"))]
    return sorted({path.relative_to(run.path).as_posix() for path in found if path.is_file()})


def _averages(run: RunFolder) -> list[str]:
    """The averages and earlier versions that a run samples with, by their paths in it, without endings."""
    guided, tuned = run.guidance(), run.tuned()
    hows = [] if tuned is None else [grid.sampling.guidance for grid in tuned.grids]
    found = [] if guided is None or guided.average is None else [folder_of(run, guided.average.length)]
    for guidance in [*hows, None if guided is None else guided.chosen]:
        guide = None if guidance is None else guidance.guide
        if guide is not None:
            found.append(_place(run, guide))
    return sorted({path.relative_to(run.path).as_posix() for path in found})


def _place(run: RunFolder, guide: Guide) -> Path:
    """The path of a guide: the name of an average includes its folder, that of a checkpoint does not."""
    return (run.path if "/" in guide.checkpoint else run.checkpoints) / guide.checkpoint


def _card(run: RunFolder, name: str) -> str:
    """The card of a run at its new place."""
    text = read_file(run.card).decode(errors="replace")
    if not text.startswith("---\n") and not run.is_autoencoder:
        text = front_matter(run.config(), "ddpm") + text
    return re.sub(r'ddpm\.load\("(?:[^"\\]|\\.)*"\)', lambda _: f'ddpm.load("{HUB}{name}")', text)


def _hub() -> Any:
    if find_spec("huggingface_hub") is None:
        raise InputError(
            "missing", f'{HUB} needs huggingface_hub, which is not installed; run `pip install "ddpm[hub]"`'
        )
    import huggingface_hub

    return huggingface_hub


@contextmanager
def _reached(what: str) -> Iterator[None]:
    """Turn errors of huggingface_hub into one line.

    Raises:
        InputError: anything goes wrong, whatever the type of the error: there are many, of several libraries.
    """
    from huggingface_hub import errors

    try:
        yield
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        revision = "the revision of " if isinstance(error, errors.RevisionNotFoundError) else ""
        raise InputError(
            "missing",
            f"{revision}{what} was not found on huggingface.co, or is private; check the name, or run `hf auth login`",
        ) from error
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            "missing",
            f"{what} cannot be reached ({reason}); check the connection and `hf auth whoami`, or use a folder",
        ) from error

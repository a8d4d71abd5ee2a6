"""Checkpoints: complete, verified, and replaced only by newer complete ones."""

import hashlib
import json
import math
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as tensors_to_bytes

from ddpm.system.errors import InputError
from ddpm.system.files import disk_errors, parse_json, read_file, sha256_of, sync_folder, write_synced
from ddpm.system.record import FORMAT
from ddpm.system.tensors import finite, load_tensors
from ddpm.training.sharding import divided

Tensors = Mapping[str, torch.Tensor]
FOLDER = "checkpoints"
"""The folder of checkpoints within a run folder."""
MANIFEST, STATE = "manifest.json", "state.json"
"""The file that distinguishes a checkpoint from a run folder, and the file of all state but tensors."""
_NAME = re.compile(r"step-(\d{9,})")
_PARTS = {"model.safetensors", "ema.safetensors", "optimizer.safetensors", STATE}
_OPTIONAL = {"levels.safetensors", "averages.safetensors"}
_WEIGHTS = {"ema.safetensors", STATE}
"""The files of a checkpoint that serves for sampling alone."""


class Damaged(Exception):
    """A checkpoint differs from what was written; the message says how."""


@dataclass(frozen=True)
class Checkpoint:
    """Everything needed to resume an interrupted run as if it had not stopped.

    Attributes:
        step: the number of optimiser steps taken.
        tensors: file stem ("model", "ema", "optimizer"; "averages" where they are saved, "levels" where these are
            sampled by past losses) -> named tensors.
        state: the remaining state, as JSON: skipped steps, EMA updates, loss scale, the sums of the log's next line,
            the number of threads if it was chosen; if the run is scored, the "best" so far: {"step", …}, of this
            checkpoint or an earlier one.
    """

    step: int
    tensors: dict[str, dict[str, torch.Tensor]]
    state: dict[str, Any]


def write(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write ``folder/step-…`` under a temporary name, sync it, then rename it; returns its path.

    Raises:
        InputError: no space or permission. Older checkpoints are kept.
    """
    return store(path_of(folder, checkpoint.step), checkpoint)


def store(final: Path, checkpoint: Checkpoint) -> Path:
    """Like :func:`write`, to a path of any name."""
    folder, part = final.parent, final.with_name(f".{final.name}.part")
    with disk_errors(final):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        try:
            files = {f"{stem}.safetensors": tensors_to_bytes(_plain(t)) for stem, t in checkpoint.tensors.items()}
            files[STATE] = json.dumps({"step": checkpoint.step, **checkpoint.state}, indent=1).encode()
            hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
            files[MANIFEST] = json.dumps({"format": FORMAT, "sha256": hashes}, indent=1).encode()
            for name, data in files.items():
                write_synced(part / name, data)
            sync_folder(part)
            shutil.rmtree(final, ignore_errors=True)  # a damaged one of the same step
            part.replace(final)
            sync_folder(folder)
        except OSError:
            shutil.rmtree(part, ignore_errors=True)
            raise
    return final


def _plain(tensors: Tensors) -> dict[str, torch.Tensor]:
    return {name: t.detach().cpu().contiguous() for name, t in tensors.items()}


def read(path: Path) -> Checkpoint:
    """Read one checkpoint and check every file against its SHA-256.

    Raises:
        Damaged: a file is missing or differs from what was written.
    """
    hashes = _manifest(path)
    for name, digest in hashes.items():
        with _reading(name):
            if sha256_of(path / name) != digest:
                raise Damaged(f"{name} does not match its SHA-256")
    tensors = {}
    for name in sorted(hashes.keys() - {STATE}):
        with _reading(name):
            tensors[name.removesuffix(".safetensors")] = load_tensors(path / name)
    with _reading(STATE):
        state = _checked(parse_json(read_file(path / STATE)), whole=hashes.keys() > _WEIGHTS)
    if _NAME.fullmatch(path.name) and state["step"] != _step(path):
        raise Damaged(f"{STATE} belongs to step {state['step']}, not {_step(path)}")
    return Checkpoint(state.pop("step"), tensors, state)


def _checked(state: Any, whole: bool) -> dict[str, Any]:
    """The state, if its counts are valid; ``whole`` for one to resume from.

    Raises:
        ValueError: a count is missing or invalid.
    """
    if not isinstance(state, dict):
        raise ValueError("it is not an object")
    for name in ("step", *(("skipped", "ema_updates") if whole else ())):
        if type(value := state.get(name)) is not int or not 0 <= value < 2**53:
            raise ValueError(f"{name} is {value!r}, not a number of steps")
    for name, needed in (("scaler", set()), ("meter", {"finite", "loss", "norm"})):
        value = state.get(name, dict.fromkeys(needed, 0))
        if not isinstance(value, dict) or not needed <= value.keys():
            raise ValueError(f"{name} is {value!r}, not an object of numbers")
        if not all(isinstance(n, int | float) and math.isfinite(n) for n in value.values()):
            raise ValueError(f"{name} is {value!r}, not finite numbers")
    return state


def _manifest(path: Path) -> dict[str, str]:
    """File name -> SHA-256."""
    with _reading(MANIFEST):
        manifest = parse_json(read_file(path / MANIFEST))
        version, hashes = manifest["format"], dict(manifest["sha256"])
    if version != FORMAT:
        raise Damaged(f"manifest.json has format {version}, but this version of ddpm reads format {FORMAT}")
    if hashes.keys() - _OPTIONAL not in (_PARTS, _WEIGHTS):
        raise Damaged(f"manifest.json lists {_some(hashes)}, not {_some(_PARTS)}")
    return hashes


@contextmanager
def _reading(name: str) -> Iterator[None]:
    """Turn errors in reading a file of a checkpoint into :class:`Damaged`."""
    try:
        yield
    except FileNotFoundError as e:
        raise Damaged(f"{name} is missing") from e
    except OSError as e:
        raise Damaged(f"{name} cannot be read ({e.strerror})") from e
    except (ValueError, KeyError, TypeError) as e:
        raise Damaged(f"{name} cannot be read ({e})") from e


def path_of(folder: Path, step: int) -> Path:
    """Return the path of the checkpoint of a step in the folder."""
    return folder / f"step-{step:09d}"


def paths(folder: Path) -> list[Path]:
    """List the checkpoints in a folder, oldest first, without verifying them."""
    return sorted((p for p in folder.glob("step-*") if _NAME.fullmatch(p.name)), key=_step)


def _step(path: Path) -> int:
    return int(path.name.removeprefix("step-"))


def newest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """Read the newest intact checkpoint; return it with a warning for each newer one that is damaged."""
    passed_over: list[str] = []
    for path in reversed(paths(folder)):
        try:
            return read(path), passed_over
        except Damaged as e:
            passed_over.append(f"skipped damaged checkpoint {path}: {e}")
    return None, passed_over


def prune(newest: Path, keep: int, later: bool = True) -> None:
    """Keep this checkpoint, the ``keep`` - 1 before it, and the best that each of them records, for a run that resumes
    from any of them; remove all others and the remains of killed writes and removals.

    Args:
        newest: the checkpoint just written or read.
        later: whether to remove those of later steps too: they are damaged, as the run resumed before them.
    """
    folder, last = newest.parent, _step(newest)
    found = paths(folder)
    upto = [path for path in found if _step(path) <= last]
    kept = set(upto[-keep:])
    kept |= {path_of(folder, step) for path in kept if (step := _best(path)) is not None}
    for path in found:
        if path not in kept and (later or _step(path) <= last):
            with suppress(OSError):  # at once: a checkpoint is whole or gone
                path.rename(path.with_name(f".{path.name}.part"))
    for part in folder.glob(".step-*.part"):
        shutil.rmtree(part, ignore_errors=True)


def _best(path: Path) -> int | None:
    """Return the step of the best checkpoint that this one records."""
    try:
        step = parse_json(read_file(path / STATE))["best"]["step"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return step if isinstance(step, int) else None


def load_into(target: Tensors, source: Tensors, what: str) -> None:
    """Copy tensors by name; all names, shapes and types must match.

    Raises:
        InputError: they do not, or a value is not finite.
    """
    check_fit(target, source, what)
    for name, tensor in source.items():
        if not finite(tensor):
            raise InputError(
                "unreadable", f"{what} is damaged: {name} has values that are not finite; restore it from a backup"
            )
    with torch.no_grad():
        for name, tensor in target.items():
            tensor.copy_(divided(source[name], tensor))


def check_fit(target: Tensors, source: Tensors, what: str) -> None:
    """Check that the names, the shapes and the types of tensors match.

    Raises:
        InputError: they do not.
    """
    missing, extra = target.keys() - source.keys(), source.keys() - target.keys()
    if missing or extra:
        parts = [f"lacks {_some(missing)}"] * bool(missing) + [f"has unknown {_some(extra)}"] * bool(extra)
        raise InputError(
            "incompatible",
            f"{what} does not fit this configuration: the checkpoint {' and '.join(parts)}; use the "
            "config.json saved with it",
        )
    for name, tensor in target.items():
        if tensor.shape != source[name].shape:
            raise InputError(
                "incompatible",
                f"{what} does not fit this configuration: {name} has shape {tuple(source[name].shape)}, "
                f"not {tuple(tensor.shape)}; use the config.json saved with it",
            )
        if tensor.dtype != source[name].dtype:
            raise InputError(
                "incompatible",
                f"{what} has {name} in {_short(source[name].dtype)}, not in {_short(tensor.dtype)} as it was written; "
                "restore it from a backup",
            )


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    return (", ".join(listed[:4]) or "nothing") + (f" and {len(listed) - 4} more" if len(listed) > 4 else "")

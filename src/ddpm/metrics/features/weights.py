"""Weights of published networks: read from a file or downloaded once, and verified."""

import hashlib
import pickle
import urllib.request
import warnings
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ddpm.system.cache import ADVICE
from ddpm.system.errors import InputError
from ddpm.system.files import drafted, sha256_of
from ddpm.system.tensors import finite, load_tensors

CHUNK = 1 << 20
"""The number of bytes read at a time."""


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read tensors by name, on the CPU. A ``.pth`` or ``.pt`` is read as data, so that no code in it is executed.

    Raises:
        InputError: there is no such file, or it does not contain weights.
    """
    if not path.is_file():
        raise InputError("missing", f"file {path} not found; use a .safetensors, .pth or .pt file of weights")
    if path.suffix not in {".safetensors", ".pth", ".pt"}:
        raise InputError("invalid", f"{path} is not a supported weights file; use a .safetensors, .pth or .pt file")
    try:
        state: Any = load_tensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
    except (pickle.UnpicklingError, RuntimeError, ValueError, LookupError, EOFError, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            "unreadable", f"{path} is damaged or not a file of weights ({reason}); use a file with a state dict"
        ) from error
    if not (isinstance(state, Mapping) and state and all(isinstance(v, torch.Tensor) for v in state.values())):
        raise InputError(
            "unreadable", f"{path} contains a {type(state).__name__}, not named tensors; use a file with a state dict"
        )
    return dict(state)


def _read_pickle(path: Path) -> Any:
    with warnings.catch_warnings(action="ignore"):  # a TorchScript archive warns before it is refused
        return torch.load(path, map_location="cpu", weights_only=True)


def fill(
    net: nn.Module, state: Mapping[str, torch.Tensor], source: str, published: str = "its published weights"
) -> None:
    """Load weights into a network in float32; all names must match.

    Counts of training steps (``num_batches_tracked``) are ignored.

    Args:
        net: the network, which may be on the "meta" device.
        source: the origin of the weights, for messages.
        published: the weights to use instead, for messages.

    Raises:
        InputError: names or shapes differ, or values are not finite.
    """
    wanted = {name: w.shape for name, w in weights_only(net.state_dict()).items()}
    given = weights_only(state)
    missing = sorted(wanted.keys() - given.keys())
    unknown = sorted(given.keys() - wanted.keys())
    other = sorted(name for name in wanted.keys() & given.keys() if wanted[name] != given[name].shape)
    broken = sorted(name for name, w in given.items() if not w.is_floating_point() or not finite(w))
    found = [
        f"{what} {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
        for what, names in (
            ("it lacks", missing),
            ("has unknown", unknown),
            ("has a different shape of", other),
            ("has values that are not finite numbers in", broken),
        )
        if names
    ]
    if found:
        raise InputError(
            "incompatible", f"{source} does not fit {type(net).__name__}: {', '.join(found)}; use {published}"
        )
    net.load_state_dict({name: w.float() for name, w in given.items()}, assign=True)


def weights_only(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Drop the counts of training steps."""
    return {name: w for name, w in state.items() if not name.endswith("num_batches_tracked")}


def extractor_hash(state: Mapping[str, torch.Tensor], preparation: str) -> str:
    """Hash the names, shapes and bytes of all weights and the preprocessing to 16 hex digits of SHA-256."""
    digest = hashlib.sha256(preparation.encode())
    for name, w in sorted(weights_only(state).items()):
        digest.update(f"\n{name} {w.dtype} {tuple(w.shape)}\n".encode())
        digest.update(w.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def fetch(url: str, sha256_prefix: str, folder: Path) -> Path:
    """Download a file into a folder unless it is already there; return its path.

    Args:
        sha256_prefix: the first digits of its hash, or all of them.

    Raises:
        InputError: the file cannot be downloaded or written, or its hash differs.
    """
    path = folder / url.rsplit("/", 1)[-1]
    if path.is_file() and sha256_of(path).startswith(sha256_prefix):
        return path
    with drafted(path, ADVICE) as draft:
        with draft.open("wb") as file:
            for chunk in _download(url):
                file.write(chunk)
        if not (found := sha256_of(draft)).startswith(sha256_prefix):
            raise InputError(
                "unreadable",
                f"the download of {url} has SHA-256 {found[:8]}…, not {sha256_prefix}…; try again, or use "
                "--weights FILE with a copy from elsewhere",
            )
    return path


def _download(url: str) -> Iterator[bytes]:
    try:
        with urllib.request.urlopen(url, timeout=30) as reply:
            while chunk := reply.read(CHUNK):
                yield chunk
    except (OSError, HTTPException) as error:
        raise InputError(
            "missing",
            f"{url} cannot be downloaded ({error}); download it on a machine with network access and use "
            "--weights FILE",
        ) from error

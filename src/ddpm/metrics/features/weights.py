"""Weights of published networks: from a file, or fetched once, and always the ones that are meant."""

import hashlib
import pickle
import urllib.request
import warnings
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from ddpm.system.cache import ADVICE
from ddpm.system.errors import InputError
from ddpm.system.files import drafted

CHUNK = 1 << 20
"""Bytes that are read at a time."""


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Name -> tensor, on the CPU. A ``.pth`` or ``.pt`` is read as data, so that nothing in it is executed.

    Raises:
        InputError: if there is no such file, or it is something else.
    """
    if not path.is_file():
        raise InputError("invalid", f"{path} is not a file; give the weights as a .safetensors, .pth or .pt file")
    if path.suffix not in {".safetensors", ".pth", ".pt"}:
        raise InputError(
            "invalid", f"{path} ends in {path.suffix or 'nothing'}; weights are read from .safetensors, .pth and .pt"
        )
    try:
        state: Any = load_file(path) if path.suffix == ".safetensors" else _read_pickle(path)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, ValueError, LookupError, EOFError, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            "invalid", f"{path} is not a file of weights ({reason}); give one that holds names and tensors"
        ) from error
    if not (isinstance(state, Mapping) and state and all(isinstance(v, torch.Tensor) for v in state.values())):
        raise InputError(
            "invalid", f"{path} holds {type(state).__name__} and not names with tensors; give a state dict"
        )
    return dict(state)


def _read_pickle(path: Path) -> Any:
    with warnings.catch_warnings(action="ignore"):  # a TorchScript archive warns before it is refused
        return torch.load(path, map_location="cpu", weights_only=True)


def fill(net: nn.Module, state: Mapping[str, torch.Tensor], source: str) -> None:
    """Give a network its weights, all of them and no others, in float32.

    Counts of training steps (``num_batches_tracked``) may be there or not, as they change nothing.

    Args:
        net: may lie on the "meta" device.
        source: where the weights are from, in words.

    Raises:
        InputError: if names or shapes differ.
    """
    wanted = {name: w.shape for name, w in weights_only(net.state_dict()).items()}
    given = weights_only(state)
    missing = sorted(wanted.keys() - given.keys())
    unknown = sorted(given.keys() - wanted.keys())
    other = sorted(name for name in wanted.keys() & given.keys() if wanted[name] != given[name].shape)
    found = [
        f"{what} {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
        for what, names in (("it lacks", missing), ("has unknown", unknown), ("has another shape of", other))
        if names
    ]
    if found:
        raise InputError("invalid", f"{source} has not the weights of {type(net).__name__}: {', '.join(found)}")
    net.load_state_dict({name: w.float() for name, w in given.items()}, assign=True)


def weights_only(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Without the counts of training steps."""
    return {name: w for name, w in state.items() if not name.endswith("num_batches_tracked")}


def fingerprint(state: Mapping[str, torch.Tensor], preparation: str) -> str:
    """16 hex digits of SHA-256 over the names, shapes and bytes of all weights, and what is done to an image before."""
    digest = hashlib.sha256(preparation.encode())
    for name, w in sorted(weights_only(state).items()):
        digest.update(f"\n{name} {w.dtype} {tuple(w.shape)}\n".encode())
        digest.update(w.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def fetch(url: str, sha256_prefix: str, folder: Path) -> Path:
    """The file of this address in this folder, fetched if it is not there yet.

    Args:
        sha256_prefix: the first digits of its hash, or all of them.

    Raises:
        InputError: if it cannot be fetched or written, or is another file than it should be.
    """
    path = folder / url.rsplit("/", 1)[-1]
    if path.is_file() and _sha256(path).startswith(sha256_prefix):
        return path
    with drafted(path, ADVICE) as draft:
        with draft.open("wb") as file:
            for chunk in _download(url):
                file.write(chunk)
        if not (found := _sha256(draft)).startswith(sha256_prefix):
            raise InputError(
                "invalid",
                f"{url} gave a file of SHA-256 {found[:8]}… and not {sha256_prefix}…; try again, or get the file"
                " elsewhere and give it by --weights FILE",
            )
    return path


def _download(url: str) -> Iterator[bytes]:
    try:
        with urllib.request.urlopen(url, timeout=30) as reply:
            while chunk := reply.read(CHUNK):
                yield chunk
    except (OSError, HTTPException) as error:
        raise InputError(
            "invalid",
            f"{url} cannot be fetched ({error}); get it where there is a network and give it by --weights FILE",
        ) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

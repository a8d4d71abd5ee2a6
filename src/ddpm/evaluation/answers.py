"""Bits per dimension of images on disk: taken in any order by any number of processes, and never twice."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import torch

from ddpm.evaluation.shards import Shards
from ddpm.tasks.estimate import BitsEstimate

SHARD = 50
"""Images a file, and at the most in memory."""

Columns = dict[str, npt.NDArray[Any]]
"""By image: its bits, the network calls of its batch and, of a bound, its prior, terms and x0_mse."""


def answers(folder: Path, n: int) -> Shards[Columns]:
    """The answers about the first n images of an order."""
    return Shards(folder, n, SHARD, "{start:06d}-{stop:06d}.npz", _load)


def columns(parts: Sequence[BitsEstimate]) -> bytes:
    """The answers about several batches as a file."""
    found: dict[str, Any] = {
        "bits": torch.cat([part.bits for part in parts]),
        # what a batch asked, by image
        "calls": np.concatenate([np.full(len(part.bits), part.calls) for part in parts]),
    }
    bounds = [part.bound for part in parts if part.bound is not None]
    for name in ("prior", "terms", "x0_mse") if bounds else ():
        found[name] = torch.cat([getattr(bound, name) for bound in bounds])
    file = BytesIO()
    np.savez(file, **found)
    return file.getvalue()


def joined(shards: Shards[Columns]) -> Columns:
    """All columns, by image."""
    files = [shards.read(k) for k in range(len(shards))]
    return {name: np.concatenate([file[name] for file in files]) for name in files[0]}


def _load(path: Path, images: range) -> Columns | None:
    try:
        with np.load(path) as file:
            found = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, BadZipFile):
        return None
    return found if len(found.get("bits", ())) == len(images) else None

"""Bits per dimension on disk: computed in any order by any number of processes, and never twice."""

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
"""Images per file, and the most in memory."""

Columns = dict[str, npt.NDArray[Any]]
"""For each image: its bits, the network calls for its batch and, for a bound, its prior, terms and x0_mse."""


def answers(folder: Path, n: int) -> Shards[Columns]:
    """The results for the first n images of an order."""
    return Shards(folder, n, SHARD, "{start:06d}-{stop:06d}.npz", _load)


def columns(parts: Sequence[BitsEstimate]) -> bytes:
    """Pack the results for several batches into a file."""
    found: dict[str, Any] = {
        "bits": torch.cat([part.bits for part in parts]),
        # the network calls of its batch, for each image
        "calls": np.concatenate([np.full(len(part.bits), part.calls) for part in parts]),
    }
    bounds = [part.bound for part in parts if part.bound is not None]
    for name in ("prior", "terms", "x0_mse") if bounds else ():
        found[name] = torch.cat([getattr(bound, name) for bound in bounds])
    file = BytesIO()
    np.savez(file, **found)
    return file.getvalue()


def joined(shards: Shards[Columns]) -> Columns:
    """Read all files as one set of columns."""
    files = [shards.read(k) for k in range(len(shards))]
    return {name: np.concatenate([file[name] for file in files]) for name in files[0]}


def _load(path: Path, images: range) -> Columns | None:
    try:
        with np.load(path) as file:
            found = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, BadZipFile):
        return None
    return found if len(found.get("bits", ())) == len(images) else None

"""Bits per dimension of images on disk: taken in any order by any number of processes, and never twice."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import torch

from ddpm.likelihood.estimate import Answer
from ddpm.system.errors import InputError
from ddpm.system.files import write_file

SHARD = 50
"""Images a file, and at the most in memory."""


@dataclass(frozen=True)
class Answers:
    """The answers about the first n images of an order, in files of 50 under ``folder``."""

    folder: Path
    n: int

    def __len__(self) -> int:
        return -(-self.n // SHARD)

    def images(self, k: int) -> range:
        """The places in the order of the images of a file."""
        return range(k * SHARD, min((k + 1) * SHARD, self.n))

    def missing(self) -> list[int]:
        """Numbers of the files that are still to be made, or again because they are damaged."""
        return [k for k in range(len(self)) if self._open(k) is None]

    def write(self, k: int, parts: Sequence[Answer]) -> None:
        """Keep a file of answers, whole or not at all."""
        columns: dict[str, Any] = {
            "bits": torch.cat([part.bits for part in parts]),
            # what a batch asked, by image
            "calls": np.concatenate([np.full(len(part.bits), part.calls) for part in parts]),
        }
        bounds = [part.bound for part in parts if part.bound is not None]
        for name in ("prior", "terms", "x0_mse") if bounds else ():
            columns[name] = torch.cat([getattr(bound, name) for bound in bounds])
        file = BytesIO()
        np.savez(file, **columns)
        write_file(self._path(k), file.getvalue())

    def read(self) -> dict[str, npt.NDArray[Any]]:
        """All columns, by image."""
        files = [self._open(k) for k in range(len(self))]
        if any(file is None for file in files):
            raise InputError(f"files of {self.folder} were damaged or taken away; run the same command again")
        whole = [file for file in files if file is not None]
        return {name: np.concatenate([file[name] for file in whole]) for name in whole[0]}

    def _open(self, k: int) -> dict[str, npt.NDArray[Any]] | None:
        """The columns of a file; None where it is not there, or not what was written."""
        try:
            with np.load(self._path(k)) as file:
                columns = {name: file[name] for name in file.files}
        except (OSError, ValueError, EOFError, BadZipFile):
            return None
        return columns if len(columns.get("bits", ())) == len(self.images(k)) else None

    def _path(self, k: int) -> Path:
        which = self.images(k)
        return self.folder / f"{which.start:06d}-{which.stop:06d}.npz"

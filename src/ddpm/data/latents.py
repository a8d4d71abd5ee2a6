"""The latents of a data set, encoded once: a memory-mapped file of their moments, and another for mirrored images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from ddpm.data.columns import Ints
from ddpm.data.dataset import Dataset, EncodedImages
from ddpm.system.cache import latents_folder
from ddpm.system.errors import InputError
from ddpm.system.growing import written_once
from ddpm.system.progress import Progress, part_of, silent

Moments = npt.NDArray[np.float16]
"""(b, 2 C, h, w): the mean of each latent, then its log-variance."""

MISSING = -np.inf
"""All moments of a damaged image, which :func:`taken` replaces by the next."""
CHUNK = 64
"""The number of images that are encoded, and written to disk, at a time."""


@dataclass(frozen=True)
class Latents:
    """The moments of the latents of all stored images, in files that each process maps.

    Attributes:
        plain, mirrored: the files; without ``mirrored`` no image is ever mirrored.
        shape: (M, 2 C, h, w).
    """

    plain: Path
    mirrored: Path | None
    shape: tuple[int, ...]

    def read(self, rows: Ints, mirrored: npt.NDArray[np.bool_] | None = None) -> Moments:
        """A copy of the moments of these images, (b, 2 C, h, w), or of the mirrored images where requested."""
        found = np.asarray(self._map(self.plain)[rows])
        if mirrored is not None and mirrored.any():
            assert self.mirrored is not None, "mirrored images were not encoded"
            found[mirrored] = self._map(self.mirrored)[rows[mirrored]]
        return found

    def _map(self, path: Path) -> Moments:
        return np.memmap(path, np.float16, "r", shape=self.shape)


def taken(
    data: Dataset, latents: EncodedImages, indices: Ints, mirrored: npt.NDArray[np.bool_] | None
) -> tuple[npt.NDArray[Any], Ints]:
    """The moments of the images at these indices, damaged ones replaced by the next, and their indices.

    Args:
        latents: those of the data set.
        mirrored: (b,) whether to take those of the mirrored image; None for none.

    Raises:
        InputError: if many in a row are damaged.
    """

    def read(positions: Ints, rows: Ints) -> tuple[npt.NDArray[Any], Ints]:
        found = latents.read(rows, None if mirrored is None else mirrored[positions])
        return found, np.flatnonzero(found[:, 0, 0, 0] == MISSING)

    return data.replacing(indices, read)


EncodeRange = Callable[[bool, int, int], Moments]
"""Whether to mirror the images, and the first and the last one plus one -> their moments."""


class Team(Protocol):
    """An :data:`EncodeRange` by several processes, of ``CHUNK`` images by each."""

    processes: int

    def encode(self, mirror: bool, first: int, last: int) -> Moments: ...


def encoder(data: Dataset, moments: Callable[[torch.Tensor], torch.Tensor], device: torch.device) -> EncodeRange:
    """The encoder of a data set; see :func:`with_latents`."""

    def encode(mirror: bool, first: int, last: int) -> Moments:
        rows = np.arange(first, last)
        pixels, usable = data.take(rows)
        pixels = np.ascontiguousarray(pixels[:, :, ::-1]) if mirror else pixels
        found: Moments = moments(torch.from_numpy(pixels).to(device)).cpu().numpy()
        found[usable != rows] = MISSING
        return found

    return encode


def with_latents(
    data: Dataset,
    moments: Callable[[torch.Tensor], torch.Tensor],
    shape: tuple[int, ...],
    codec: str,
    flip: bool,
    device: torch.device,
    progress: Progress = silent,
    team: Team | None = None,
) -> Dataset:
    """The data set with the latents of its images, which are encoded unless the cache has them.

    Files are keyed by the images and the codec's weights. They grow image by image: a killed call is resumed at the
    last complete one. Concurrent calls write the same bytes at the same positions, until the first has them all.

    Args:
        data: prepared images, all of them.
        moments: images (b, H, W, C) uint8 on the device -> moments (b, *shape) float16.
        shape: (2 C', h, w).
        codec: the hash of the codec's weights.
        flip: whether images are also mirrored.
        progress: called with (images done, in total).
        team: encodes with several processes.

    Raises:
        InputError: the latents are not finite, or the cache cannot be written.
    """
    assert data.fingerprint, "unprepared data has no fingerprint"
    assert data.rows is None, "subsets share the latents of the whole set"
    folder, files, shape = latents_folder(codec, data.fingerprint), list[Path](), (len(data), *shape)
    ends = 2 * int(np.prod(shape[1:])) * np.arange(1, len(data) + 1, dtype=np.int64)  # two bytes each
    encode, chunk = encoder(data, moments, device), CHUNK * (1 if team is None else team.processes)
    for name, mirror in (("plain.f16", False), ("mirrored.f16", True))[: 1 + flip]:

        def encoded(first: int, last: int, mirror: bool = mirror) -> memoryview:
            found = encode(mirror, first, last) if team is None else team.encode(mirror, first, last)
            return np.ascontiguousarray(_finite(found, np.arange(first, last), data.names)).data

        report = part_of(progress, len(files) * len(data), (1 + flip) * len(data))
        files.append(written_once(folder / name, ends, chunk, encoded, progress=report))
    return replace(data, latents=Latents(files[0], files[1] if flip else None, shape))


def _finite(moments: Moments, rows: Ints, names: Sequence[str]) -> Moments:
    bad = np.flatnonzero(~np.isfinite(moments).all((1, 2, 3)) & (moments != MISSING).any((1, 2, 3)))
    if len(bad):
        first = names[rows[bad[0]]] if names else f"image {rows[bad[0]]}"
        raise InputError(
            "invalid", f"the latents of {first} are not finite; use another autoencoder, or train this one again"
        )
    return moments

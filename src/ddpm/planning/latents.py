"""Runs in the latents of an autoencoder: check the request, and encode the images."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import distributed

from ddpm.codec import Codec
from ddpm.config.codec import AutoencoderCodecConfig
from ddpm.config.run import RunConfig
from ddpm.data.dataset import Dataset
from ddpm.data.latents import CHUNK, EncodeRange, Moments, encoder, with_latents
from ddpm.planning.request import Request, default_out
from ddpm.records.codec import StoredCodec
from ddpm.system.errors import InputError
from ddpm.system.progress import Progress, doing, silent
from ddpm.system.ranges import nearest_multiple

SMALLEST = 4
"""The fewest positions of latents on a side."""
COARSE = 16
"""Latents whose sides are multiples of this can be halved often enough at any size."""
LARGE = 128
"""The longest side, in pixels, from which an autoencoder is recommended (Rombach et al. 2022 use it from 256 on)."""


def stored(request: Request, dataset: Dataset) -> StoredCodec | None:
    """The autoencoder that a request asks for, if it can encode the images; None for a run of pixels.

    Raises:
        InputError: it is not a finished autoencoder, or the images have another mode or an unsuitable size.
    """
    if request.codec is None:
        return None
    found = StoredCodec.read(Path(request.codec))
    net, known, (height, width, _) = found.config.network, found.config.data.mode, dataset.shape
    if dataset.mode != known:
        raise InputError(
            "incompatible",
            f"{request.codec} encodes {known} images, but those of {request.data} are {dataset.mode}; use --mode "
            f"{known}, or an autoencoder trained on {dataset.mode} images",
        )
    if height % net.factor or width % net.factor:
        nearest = "x".join(str(nearest_multiple(n, net.factor, SMALLEST)) for n in (height, width))
        raise InputError(
            "invalid",
            f"images of {height} × {width} are not divisible by {net.factor}, the factor of {request.codec}; use the "
            f"nearest size that is, --size {nearest}",
        )
    if min(height, width) < SMALLEST * net.factor:
        raise InputError(
            "invalid",
            f"images of {height} × {width} have latents of {height // net.factor} × {width // net.factor} in "
            f"{request.codec}, which are too small; use --size {SMALLEST * net.factor} or larger, or drop --codec",
        )
    return found


def size(stored: StoredCodec | None, images: tuple[int, int]) -> tuple[int, int]:
    """(H, W) of x for images of (H, W)."""
    factor = 1 if stored is None else stored.config.network.factor
    return images[0] // factor, images[1] // factor


@contextmanager
def refused_in_pixels(stored: StoredCodec | None, images: tuple[int, int]) -> Iterator[None]:
    """A context that names the size of the images if a recipe refuses the size of their latents.

    Raises:
        InputError: the latents cannot be halved often enough.
    """
    try:
        yield
    except InputError as e:
        if stored is None or e.code != "invalid":
            raise
        unit, (height, width) = COARSE * stored.config.network.factor, size(stored, images)
        nearest = "x".join(str(nearest_multiple(n, unit)) for n in images)
        raise InputError(
            "invalid",
            f"images of {images[0]} × {images[1]} have latents of {height} × {width}, which cannot be halved often "
            f"enough; use --size {nearest}, the nearest multiples of {unit}",
        ) from e


def encoded(
    dataset: Dataset, codec: Codec, config: RunConfig, accelerator: Accelerator, progress: Progress = silent
) -> Dataset:
    """The images with their latents if the codec has moments, encoded once by all processes.

    Raises:
        InputError: the latents are not finite, or the cache cannot be written.
    """
    if codec.moments is None:
        return dataset
    assert isinstance(config.codec, AutoencoderCodecConfig)
    channels, height, width = config.shape
    shape, flip = (2 * channels, height, width), config.training.flip
    report, device = doing(progress, "encoding"), accelerator.device
    if accelerator.num_processes > 1:
        team = _Processes(encoder(dataset, codec.moments, device), accelerator)
        if accelerator.is_main_process:
            with_latents(dataset, codec.moments, shape, config.codec.weights, flip, device, report, team)
            team.finish()
        else:
            team.serve()
    # a process on a machine with a cache of its own encodes for itself
    return with_latents(dataset, codec.moments, shape, config.codec.weights, flip, device, report)


class _Processes:
    """All processes, which share the encoding for the main one."""

    def __init__(self, encode: EncodeRange, accelerator: Accelerator) -> None:
        self._own, self.rank, self.processes = encode, accelerator.process_index, accelerator.num_processes

    def encode(self, mirror: bool, first: int, last: int) -> Moments:
        broadcast_object_list([(mirror, first, last)])
        return np.concatenate([part for part in self._gather(mirror, first, last) if len(part)])

    def finish(self) -> None:
        """Let the other processes finish."""
        broadcast_object_list([None])

    def serve(self) -> None:
        """Encode what the main process asks for."""
        while True:
            work: list[tuple[bool, int, int] | None] = [None]
            broadcast_object_list(work)
            if work[0] is None:
                return
            self._gather(*work[0])

    def _gather(self, mirror: bool, first: int, last: int) -> list[Moments]:
        """The parts of all processes, in the main one; the same batches as in a single process."""
        begin = min(first + self.rank * CHUNK, last)
        part = self._own(mirror, begin, min(begin + CHUNK, last)) if begin < last else np.empty(0, np.float16)
        parts: list[Any] | None = [None] * self.processes if self.rank == 0 else None
        distributed.gather_object(part, parts)
        return parts or []


def scaled(config: RunConfig) -> RunConfig:
    """The settings with the standard deviation of the latents; EDM's formulas otherwise assume that of pixels."""
    diffusion = config.diffusion
    used = diffusion.scales_input or config.objective.weighting.name == "edm"
    if config.codec.in_pixels or not used or diffusion.sigma_data is not None:
        return config
    spread = config.codec.spread(())
    return config.model_copy(update={"diffusion": diffusion.model_copy(update={"sigma_data": spread})})


def advice(data: str, size: tuple[int, int]) -> str | None:
    """A recommendation for large images; None for small ones."""
    if max(size) < LARGE:
        return None
    name = shlex.quote(f"{default_out(data)}-ae")
    return (
        f"{size[0]} × {size[1]} is large for diffusion in pixels; consider the latents of an autoencoder: `ddpm train "
        f"{shlex.quote(data)} --size {size[0]}x{size[1]} --recipe autoencoder --out {name}`, then add --codec {name}"
    )

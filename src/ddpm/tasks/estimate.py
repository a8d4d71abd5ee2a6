"""Estimate the bits per dimension of a batch of images."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from ddpm import build
from ddpm.codec import PixelCodec
from ddpm.config.data import DataConfig
from ddpm.config.likelihood import Likelihood
from ddpm.config.run import RunConfig
from ddpm.core import Cond, Continuous, Denoiser
from ddpm.core.denoiser import FixedVariance
from ddpm.core.model import Model
from ddpm.core.stream import Stream
from ddpm.guidance import Clipped
from ddpm.images.photo import Several, opened, several
from ddpm.images.pixels import Pixels
from ddpm.metrics.likelihood import ProbabilityFlow, bits_per_dim
from ddpm.objectives.bound import LevelPair, bound, every_pair, sampled_pairs
from ddpm.sampling import SampleNoise, rows_of
from ddpm.sampling.grid import uniform
from ddpm.system.errors import InputError
from ddpm.system.progress import Progress, silent

Columns = dict[str, torch.Tensor]
"""For each image of a batch: its ``bits`` per dimension, float32, the network ``calls`` for the batch and, for a bound,
its parts ``prior``, ``terms`` and ``x0_mse``; see :class:`Bound`."""


def estimate(
    model: Model,
    config: RunConfig,
    how: Likelihood,
    images: torch.Tensor,
    indices: Sequence[int],
    cond: Cond | None = None,
    progress: Progress = silent,
) -> Columns:
    """Estimate the bits per dimension of 8-bit images, without guidance and in float32.

    Args:
        images: (B, H, W, C) uint8, on the model's device.
        indices: the random draws for the image with index i are a function of (how.seed, i).
        cond: the conditioning of the images.
        progress: called with (network calls, total), the total 0 if unknown.

    Raises:
        InputError: the run models latents, not pixels.
    """
    codec, schedule = build.build_codec(config), build.build_schedule(config.diffusion)
    if type(codec) is not PixelCodec:
        raise InputError(
            "incompatible",
            "bits per dimension need a run on pixels, but this run models latents, whose density is not that of the "
            "images; leave out bits per dimension",
        )
    x0 = codec.encode(images)
    denoise: Denoiser = model.denoiser(build.build_parameterisation(config.diffusion))
    if how.clip:
        denoise = Clipped(denoise)
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        if how.method == "ode":
            assert how.tolerance is not None
            assert how.probes is not None
            start = 1.0
            if how.start is not None:
                assert isinstance(schedule, Continuous)
                start = schedule.place_at(how.start)
            flow = ProbabilityFlow(denoise, schedule, how.tolerance, how.tolerance, start)
            bits, calls = bits_per_dim(flow, x0, how.seed, indices, how.probes, cond, lambda calls: progress(calls, 0))
            return {"bits": bits.float(), "calls": torch.full((len(bits),), calls)}
        assert how.steps is not None
        assert how.variance is not None
        if how.variance != "learned":
            denoise = FixedVariance(denoise)
        grid = uniform(schedule, how.steps)
        pairs = every_pair(grid) if how.terms is None else sampled_pairs(grid, choices(how.seed, indices, how.terms))
        randn = SampleNoise(rows_of(how.seed, indices), tuple(x0.shape[1:]), x0.device)
        fixed = build.VARIANCES[how.variance]
        made = bound(denoise, x0, grid, randn, cond, fixed, _watched(pairs, progress))
    parts = {"prior": made.prior, "terms": made.terms, "x0_mse": made.x0_mse}
    return {"bits": made.total, "calls": torch.full((len(x0),), len(pairs)), **parts}


def choices(seed: int, indices: Sequence[int], terms: int) -> torch.Tensor:
    """Draw where in each of the k runs of levels an image's term is taken: (B, k) uniform, by (seed, index)."""
    return torch.stack([Stream(seed, "terms", i).uniform(terms) for i in indices])


def _watched(pairs: Sequence[LevelPair], progress: Progress) -> Iterator[LevelPair]:
    for done, pair in enumerate(pairs, 1):
        yield pair
        progress(done, len(pairs))


def pixels(images: Several, data: DataConfig) -> Pixels:
    """Read pictures as (B, H, W, C) uint8.

    Raises:
        InputError: there are none, or one differs from the run's size or mode.
    """
    (height, width), mode = data.size, data.mode
    each = [opened(image).image for image in several(images)]
    for i, image in enumerate(each):
        if image.mode != mode or image.size != (width, height):
            raise InputError(
                "incompatible",
                f"image {i} is {image.height} × {image.width} {image.mode}, but the run needs {height} × {width} "
                f'{mode}; convert it with image.convert("{mode}").resize(({width}, {height}))',
            )
    # (H, W) -> (H, W, 1) for grey
    return np.stack([np.atleast_3d(np.asarray(image)) for image in each])

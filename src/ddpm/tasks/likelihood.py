"""Likelihood of images under a run."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from ddpm import build
from ddpm.config.data import DataConfig
from ddpm.config.likelihood import Likelihood
from ddpm.core import Continuous
from ddpm.core.denoiser import FixedVariance
from ddpm.core.stream import Stream
from ddpm.engine.indices import chosen
from ddpm.engine.labels import Label
from ddpm.engine.run import LoadedRun
from ddpm.engine.subjects import Subjects
from ddpm.images.geometry import Geometry
from ddpm.images.photo import Several, opened, several
from ddpm.images.pixels import Pixels
from ddpm.metrics import likelihood as density
from ddpm.objectives.bound import LevelPair, bound, every_pair, sampled_pairs
from ddpm.sampling import rows_of
from ddpm.system.device import exact_convolutions
from ddpm.system.errors import InputError
from ddpm.system.progress import Progress, part_of, silent
from ddpm.tasks.likelihood_settings import settle

Columns = dict[str, torch.Tensor]
"""For each image of a batch: its ``bits`` per dimension, float32, the network ``calls`` for the batch and, for a bound,
its parts ``prior``, ``terms`` and ``x0_mse``; see :class:`Bound`."""


def bits_per_dim(
    run: LoadedRun,
    images: Several,
    method: str = "bound",
    *,
    labels: Label | Sequence[Label] | None = None,
    seed: int = 0,
    indices: Sequence[int] | None = None,
    clip: bool | None = None,
    batch: int = 64,
    progress: Progress = silent,
    **options: Any,
) -> torch.Tensor:
    """Return the bits per dimension of images under the model, (B,) float32: the fewer, the likelier an image.

    Args:
        images: one or several pictures of the run's size and mode; see :data:`~ddpm.images.photo.Several`.
        method: "bound", an upper bound (Ho et al. 2020, eq. 5), or "ode", the density (Song et al. 2021).
        labels: the class of all images, or one each; None estimates p(x) over all classes.
        options: of the bound or the ODE; see :class:`Likelihood`.
        seed, indices: the noise of the image with index i is a function of (seed, i); indices are 0 … B - 1 if None.
        batch: images in memory at a time.
        progress: called with (network calls done, total), the total 0 for the ODE, where it is unknown.

    Raises:
        InputError: unusable images, labels or settings.
    """
    how = settle(run.config, method, seed=seed, clip=clip, **options)
    pixels = read(images, run.config.data)
    n = len(pixels)
    if batch < 1:
        raise InputError("invalid", f"batch is {batch}; use at least 1")
    which = chosen(indices, n)
    given, bits = run.labels(labels, n), []
    before, total = 0, -(-n // batch) * (how.calls or 0)
    for first in range(0, n, batch):
        part = slice(first, first + batch)
        report = part_of(progress, before, total)
        answer = likelihood(run, how, pixels[part], given[part] if given else None, which[part], report)
        bits.append(answer["bits"])
        before += int(answer["calls"][0])
    return torch.cat(bits)


def likelihood(
    run: LoadedRun,
    how: Likelihood,
    pixels: Pixels,
    labels: list[int] | None,
    indices: list[int],
    progress: Progress = silent,
) -> Columns:
    """Estimate the likelihood of one batch, as for :func:`bits_per_dim`, without guidance, in float32, on the CPU.

    Args:
        pixels: (B, H, W, C) uint8.
        labels: the class number of each image; None uses the null label.
        progress: called with (network calls done, total or 0).

    Raises:
        InputError: the run needs labels or small images, or it is not one of pixels.
    """
    run.refuse_super_resolution()
    run.refuse_student("likelihoods")
    if labels is None and run.needs_label:
        raise InputError(
            "missing", f"{run.source} was never trained without labels, so it needs a label; {run.vocabulary.advice}"
        )
    if run.needs_prompt:
        raise InputError(
            "incompatible",
            f"{run.source} was never trained without captions, so it has no likelihood without them; train it with "
            "label_dropout above 0",
        )
    engine, schedule = run.engine, run.engine.schedule
    if not run.config.codec.in_pixels:
        raise InputError(
            "incompatible",
            f"the {run.config.codec.kind} codec of {run.source} does not preserve the density of images, so they "
            "have no bits per dimension; use a run with the pixel codec",
        )
    at = engine.fill(len(pixels))
    x0, cond = (
        engine.encoded(pixels[at]),
        engine.cond(run.conditions(Subjects(None if labels is None else tuple(labels))), at),
    )
    numbers = [indices[i] for i in at]
    denoise = engine.denoiser(how.sampling)
    with exact_convolutions():
        if how.method == "ode":
            assert how.tolerance is not None
            assert how.probes is not None
            start = 1.0
            if how.start is not None:
                assert isinstance(schedule, Continuous)
                start = schedule.timestep_at(how.start)
            flow = density.ProbabilityFlow(denoise, schedule, how.tolerance, how.tolerance, start)
            bits, calls = density.bits_per_dim(
                flow, x0, how.seed, numbers, how.probes, cond, lambda calls: progress(calls, 0)
            )
            found = {"bits": bits.float(), "calls": torch.full((len(bits),), calls)}
        else:
            assert how.steps is not None
            assert how.variance is not None
            if how.variance != "learned":
                denoise = FixedVariance(denoise)
            grid = engine.grid(how.sampling)
            pairs = every_pair(grid)
            if how.terms is not None:
                pairs = sampled_pairs(grid, choices(how.seed, numbers, how.terms))
            randn = engine.noise(rows_of(how.seed, numbers))
            fixed = build.VARIANCES[how.variance]
            made = bound(denoise, x0, grid, randn, cond, fixed, _watched(pairs, progress))
            parts = {"prior": made.prior, "terms": made.terms, "x0_mse": made.x0_mse}
            found = {"bits": made.total, "calls": torch.full((len(x0),), len(pairs)), **parts}
    return {name: column[: len(pixels)].cpu() for name, column in found.items()}


def choices(seed: int, indices: Sequence[int], terms: int) -> torch.Tensor:
    """Draw where in each of the k runs of levels an image's term is taken: (B, k) uniform, by (seed, index)."""
    return torch.stack([Stream(seed, "terms", i).uniform(terms) for i in indices])


def _watched(pairs: Sequence[LevelPair], progress: Progress) -> Iterator[LevelPair]:
    for done, pair in enumerate(pairs, 1):
        yield pair
        progress(done, len(pairs))


def read(images: Several, data: DataConfig) -> Pixels:
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
    return np.stack([Geometry().apply(image) for image in each])

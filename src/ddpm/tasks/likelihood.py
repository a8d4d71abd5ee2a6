"""Likelihood of images under a run."""

from collections.abc import Sequence
from typing import Any

import torch

from ddpm.config.likelihood import Likelihood
from ddpm.engine.indices import chosen
from ddpm.engine.labels import Label
from ddpm.engine.run import LoadedRun
from ddpm.images.photo import Several
from ddpm.images.pixels import Pixels
from ddpm.system.errors import InputError
from ddpm.system.progress import Progress, part_of, silent
from ddpm.tasks import estimate
from ddpm.tasks.likelihood_settings import settle


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
    pixels = estimate.pixels(images, run.config.data)
    n = len(pixels)
    if batch < 1:
        raise InputError("invalid", f"batch {batch} is too small; use at least 1")
    which = chosen(indices, n)
    given, bits = run.labels(labels, n), []
    before, total = 0, -(-n // batch) * (how.calls or 0)
    for first in range(0, n, batch):
        part = slice(first, first + batch)
        report = part_of(progress, before, total)
        answer = likelihood(run, how, pixels[part], given[part] if given else None, which[part], report)
        bits.append(answer.bits)
        before += answer.calls
    return torch.cat(bits)


def likelihood(
    run: LoadedRun,
    how: Likelihood,
    pixels: Pixels,
    labels: list[int] | None,
    indices: list[int],
    progress: Progress = silent,
) -> estimate.BitsEstimate:
    """Estimate the likelihood of one batch, as for :func:`bits_per_dim`, with the terms of the bound.

    Args:
        pixels: (B, H, W, C) uint8.
        labels: the class number of each image; None uses the null label.
        progress: called with (network calls done, total or 0).
    """
    run.refuse_given()
    run.refuse_student("likelihood")
    if labels is None and run.needs_label:
        raise InputError(
            "missing", f"{run.source} was never trained without labels, so it needs one; {run.vocabulary.advice}"
        )
    engine = run.engine
    at = engine.fill(len(pixels))
    images = torch.from_numpy(pixels[at]).to(engine.device)
    cond = engine.cond(run.conditions(labels), at)
    answer = estimate.estimate(engine.model, run.config, how, images, [indices[i] for i in at], cond, progress)
    return answer.first(len(pixels))

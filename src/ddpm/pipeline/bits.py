"""How likely a run finds images."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from PIL import Image

from ddpm.config.likelihood import Likelihood, settle
from ddpm.images.pixels import Pixels
from ddpm.likelihood import estimate
from ddpm.pipeline.indices import chosen
from ddpm.pipeline.labels import Label
from ddpm.system.errors import InputError
from ddpm.system.progress import Progress, part_of, silent

if TYPE_CHECKING:
    from ddpm.pipeline.pipeline import Pipeline


def bits_per_dim(
    pipe: "Pipeline",
    images: Image.Image | Sequence[Image.Image] | Pixels,
    method: str = "bound",
    *,
    labels: Label | Sequence[Label] | None = None,
    steps: int | None = None,
    terms: int | None = None,
    seed: int = 0,
    indices: Sequence[int] | None = None,
    clip: bool | None = None,
    batch: int = 64,
    progress: Progress = silent,
) -> torch.Tensor:
    """Bits that the model takes for each 8-bit value of an image, (B,) float32: the less, the likelier it is.

    Args:
        images: one or several pictures of the run's size and mode, or (B, H, W, C) uint8.
        method: "bound", an upper bound (Ho et al. 2020, eq. 5), or "ode", the density (Song et al. 2021).
        labels: what the images are, one for all or one each; None asks for p(x) whatever the class.
        steps, terms, clip: see :class:`Likelihood`.
        seed, indices: the noise of the image with index i, 0 … B - 1 if None, is a function of (seed, i).
        batch: images in memory at a time. Those of one batch share the ODE's steps, and its error.
        progress: called with (network calls done, in all); of the ODE nobody knows how many, and in all is 0.

    Raises:
        InputError: images, labels or settings that cannot be used.
    """
    how = settle(pipe.config, method, steps=steps, terms=terms, seed=seed, clip=clip)
    pixels = estimate.pixels(images, pipe.config.data)
    n = len(pixels)
    if batch < 1:
        raise InputError(f"batch must be at least 1, not {batch}")
    which = chosen(indices, n)
    given, bits = pipe.labels(labels, n), []
    before, total = 0, -(-n // batch) * (how.calls or 0)
    for first in range(0, n, batch):
        part = slice(first, first + batch)
        report = part_of(progress, before, total)
        answer = pipe.likelihood(how, pixels[part], given[part] if given else None, which[part], report)
        bits.append(answer.bits)
        before += answer.calls
    return torch.cat(bits)


def likelihood(
    pipe: "Pipeline",
    how: Likelihood,
    pixels: Pixels,
    labels: list[int] | None,
    indices: list[int],
    progress: Progress = silent,
) -> estimate.BitsEstimate:
    """One batch: what :func:`bits_per_dim` takes the bits of, with where they come from.

    Args:
        pixels: (B, H, W, C) uint8.
        labels: the class of each image by number; None takes the null label.
        progress: called with (network calls done, in all, or 0).
    """
    pipe.refuse_given()
    if labels is None and pipe.needs_label:
        raise InputError(
            f"{pipe.source} never saw an image without its label when it was trained: {pipe.vocabulary.advice}"
        )
    rows = pipe.fill(list(range(len(pixels))))
    images = torch.from_numpy(pixels[rows]).to(pipe.device)
    cond = pipe.cond(pipe.fill(labels), len(rows))
    answer = estimate.estimate(pipe.model, pipe.config, how, images, pipe.fill(indices), cond, progress)
    return answer.first(len(pixels))

"""Previews of a run in training, sampled by the engine."""

import numpy as np
import torch

from ddpm.config.sampling import SamplingConfig
from ddpm.config.solver import EtaSolver
from ddpm.core.condition import Conditions
from ddpm.core.model import Model
from ddpm.data.dataset import Dataset
from ddpm.data.loader import batch_of
from ddpm.engine.diffusion import Diffusion
from ddpm.images.pixels import Pixels
from ddpm.sampling import rows_of
from ddpm.training.preview import Colour, Preview, colour

COUNT, STEPS = 16, 16
"""The number of images of a preview, and of steps of the fast solver."""
LIMIT = 1024
"""The approximate number of training images that the expected colours are averaged over."""


def preview(
    engine: Diffusion, seed: int, data: Dataset, held_out: Dataset, how: SamplingConfig | None = None
) -> Preview:
    """Make a preview of fixed seeds, cycling through the classes; a model conditioned on images gets held-out ones.

    Args:
        engine: the engine of the run.
        data: the training images.
        held_out: the held-out images.
        how: how to sample; with a few steps of DDIM if None.
    """
    how = how or SamplingConfig(solver=EtaSolver(name="ddim"), steps=min(STEPS, engine.schedule.T), grid="trailing")
    n, classes = COUNT, len(data.classes)
    conditions: dict[str, torch.Tensor] = {"label": torch.arange(n) % classes} if classes else {}
    expected, sides = _expected(data, n), []
    if engine.model.requires:
        known = held_out if len(held_out) else data
        batch = batch_of(known, np.arange(min(n, len(known))))
        n, conditions, images = len(batch.images), batch.conditions, batch.images.numpy()
        expected, sides = colour(images), [_given(engine, conditions, n), images]

    def draw(model: Model) -> Pixels:
        return engine.with_model(model).draw(how, rows_of(seed, range(n)), conditions)

    return Preview(draw, expected, sides)


def _given(engine: Diffusion, conditions: Conditions, n: int) -> Pixels:
    """Return the images that the network sees next to x, (n, H, W, C)."""
    cond = engine.cond(conditions, list(range(n)))
    assert cond is not None
    assert cond.image is not None
    return engine.decoded(cond.image)


def _expected(data: Dataset, n: int) -> Colour:
    """Return the colours of training images, from as many classes as the n images of a preview show."""
    groups = [np.arange(len(data))]
    if data.labels is not None:
        shown = (np.flatnonzero(data.labels == k) for k in range(min(n, len(data.classes))))
        groups = [rows for rows in shown if len(rows)]
    share = -(-min(LIMIT, len(data)) // len(groups))
    rows = [group[np.linspace(0, len(group) - 1, share).round().astype(np.int64)] for group in groups]
    return colour(data.read(np.concatenate(rows)))

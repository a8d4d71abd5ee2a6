"""Previews of a run in training, sampled by the engine."""

import numpy as np

from ddpm.config.sampling import SamplingConfig
from ddpm.config.solver import EtaSolver
from ddpm.core.model import Model
from ddpm.data.columns import Ints
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
SOUGHT = 2**17
"""The maximum number of training images that are searched for images of each class."""


def quick(T: int) -> SamplingConfig:
    """The sampling of previews of a run with T levels: a few steps of DDIM."""
    return SamplingConfig(solver=EtaSolver(name="ddim"), steps=min(STEPS, T), grid="trailing")


def preview(
    engine: Diffusion, seed: int, data: Dataset, held_out: Dataset, how: SamplingConfig | None = None
) -> Preview:
    """Make a preview of fixed seeds, with the conditions of training images of each class in turn.

    Conditions that the model requires, such as small images, come from held-out images, which are shown next to it.

    Args:
        engine: the engine of the run.
        data: the training images.
        held_out: the held-out images.
        how: how to sample; as :func:`quick` if None.
    """
    how = how or quick(engine.schedule.T)
    groups = _by_class(data)[:COUNT]
    n, expected, sides = COUNT, _expected(data, groups), list[Pixels]()
    if engine.model.requires:
        known = held_out if len(held_out) else data
        batch = batch_of(known, np.arange(min(n, len(known))))
        n, images = len(batch.images), batch.images.numpy()
        expected, cond = colour(images), engine.cond(batch.conditions, list(range(n)))
        sides = [] if cond is None or cond.image is None else [engine.decoded(cond.image), images]
    else:
        in_turn = np.stack([_spread(group, -(-n // len(groups))) for group in groups], axis=1).ravel()[:n]
        batch = batch_of(data, in_turn)
    conditions = batch.conditions

    def draw(model: Model) -> Pixels:
        return engine.with_model(model).draw(how, rows_of(seed, range(n)), conditions)

    return Preview(draw, expected, sides)


def _by_class(data: Dataset) -> list[Ints]:
    """Return the indices of the images of each class that has some; of all images if there are no classes.

    In a large set, only some images are considered, evenly spread.
    """
    some = data.spread(SOUGHT)
    if data.labels is None:
        return [some]
    labels = data.labels[some]
    return [some[rows] for k in range(len(data.classes)) if len(rows := np.flatnonzero(labels == k))]


def _expected(data: Dataset, groups: list[Ints]) -> Colour:
    """Return the colours of training images, the same number from each group."""
    share = -(-min(LIMIT, len(data)) // len(groups))
    return colour(data.read(np.concatenate([_spread(group, share) for group in groups])))


def _spread(group: Ints, n: int) -> Ints:
    """n of these indices, evenly spread, some repeatedly if there are fewer: images in order have similar captions."""
    return group[np.linspace(0, len(group) - 1, n).round().astype(np.int64)]

"""Previews of a model during training."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image

from ddpm.core.model import Model
from ddpm.images.pixels import Pixels
from ddpm.images.sheets import beside, sheet


class Colour(NamedTuple):
    """Colour statistics of each channel, in units of [-1, 1].

    Attributes:
        mean, std: over all pixels.
        spread: the standard deviation of the images' means.
    """

    mean: list[float]
    std: list[float]
    spread: list[float]


@dataclass(frozen=True)
class Preview:
    """Images of the same seeds at every stage of training.

    Attributes:
        draw: a model in evaluation mode -> images (n, H, W, C) uint8.
        expected: the colour statistics of training images, to compare with; None for no comparison.
        sides: two further sets to show at the left and right: the inputs and the targets.
    """

    draw: Callable[[Model], Pixels]
    expected: Colour | None
    sides: Sequence[Pixels] = ()

    def images(self, model: Model) -> Pixels:
        """Draw the images, (n, H, W, C) uint8; the model keeps its mode."""
        was_training = model.training
        model.eval()
        pixels = self.draw(model)
        model.train(was_training)
        return pixels


def page(raw: Pixels | None, averaged: Pixels, sides: Sequence[Pixels] = ()) -> Image.Image:
    """Arrange the average's images, with those of the raw weights, if given, to their left.

    Args:
        sides: two further sets to show at the far left and right.
    """
    shown = [averaged] if raw is None else [raw, averaged]
    return beside([sheet(one) for one in (*sides[:1], *shown, *sides[1:])])


def colour(images: Pixels) -> Colour:
    """Compute the statistics of each channel over all images (N, H, W, C) uint8."""
    x = images.astype(np.float64) / 127.5 - 1
    return Colour(x.mean((0, 1, 2)).tolist(), x.std((0, 1, 2)).tolist(), x.mean((1, 2)).std(0).tolist())


def drift(seen: Colour, data: Colour, n: int) -> str | None:
    """Return a warning if the mean colour of n images differs from the data's by more than chance explains.

    The standard error of the mean is the spread of the images' means over √n; four standard errors plus a fortieth of
    the range are allowed.
    """
    for channel, (m, m_data, spread) in enumerate(zip(seen.mean, data.mean, data.spread, strict=True)):
        allowed = 4 * spread / n**0.5 + 0.05
        if abs(m - m_data) > allowed:
            return f"colour drift: channel {channel} has mean {m:+.2f} in the previews but {m_data:+.2f} in the data"
    return None

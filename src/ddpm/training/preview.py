"""Images of a model while it trains."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

import numpy as np
from PIL import Image

from ddpm.core.model import Model
from ddpm.images.pixels import Pixels
from ddpm.images.sheets import beside, sheet


class Colour(NamedTuple):
    """Of each channel, in units of [-1, 1].

    Attributes:
        mean, std: over all pixels.
        spread: standard deviation of the images' own means.
    """

    mean: list[float]
    std: list[float]
    spread: list[float]


@dataclass(frozen=True)
class Preview:
    """The same images of the same seeds at every stage of training.

    Attributes:
        draw: a model in evaluation mode -> images (n, H, W, C) uint8.
        expected: the colours that these would have if they were images of the data.
        sides: two further sets to stand at the left and the right: what the images were made from, and should be.
    """

    draw: Callable[[Model], Pixels]
    expected: Colour
    sides: Sequence[Pixels] = ()

    def images(self, model: Model) -> Pixels:
        """(n, H, W, C) uint8; the model is left in its mode."""
        was_training = model.training
        model.eval()
        pixels = self.draw(model)
        model.train(was_training)
        return pixels


def page(raw: Pixels | None, averaged: Pixels, sides: Sequence[Pixels] = ()) -> Image.Image:
    """The average's images; early on with those of the raw weights to their left.

    Args:
        sides: two further sets, to stand at the left and the right of all.
    """
    shown = [averaged] if raw is None else [raw, averaged]
    return reduce(beside, map(sheet, [*sides[:1], *shown, *sides[1:]]))


def colour(images: Pixels) -> Colour:
    """Statistics over all images of each channel of (N, H, W, C) uint8."""
    x = images.astype(np.float64) / 127.5 - 1
    return Colour(x.mean((0, 1, 2)).tolist(), x.std((0, 1, 2)).tolist(), x.mean((1, 2)).std(0).tolist())


def drift(seen: Colour, data: Colour, n: int) -> str | None:
    """A warning where n images' mean colour is off the data's by more than chance explains.

    The mean of n images strays by the spread of the images' own means over √n; four such widths, and a fortieth of
    the range, are allowed.
    """
    for channel, (m, m_data, spread) in enumerate(zip(seen.mean, data.mean, data.spread, strict=True)):
        allowed = 4 * spread / n**0.5 + 0.05
        if abs(m - m_data) > allowed:
            return f"colour drifts: channel {channel} of the previews has mean {m:+.2f}, the data {m_data:+.2f}"
    return None

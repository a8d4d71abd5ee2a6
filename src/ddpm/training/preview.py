"""Pictures of a model while it learns."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from ddpm.core import LowResolution
from ddpm.core.model import Model
from ddpm.data.dataset import Dataset
from ddpm.guidance import Clipped
from ddpm.images.pixels import Pixels
from ddpm.images.sheets import beside, sheet
from ddpm.sampling import DDIM, SampleNoise, sample
from ddpm.sampling.grid import trailing
from ddpm.training.learner import Problem


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
    """The same seeds at every stage of training, by a fast solver.

    Attributes:
        problem: what is learned.
        shape: (C, *space).
        classes: number of classes, which the images take in turn; 0 for none.
        seed: of the noise.
        n: number of images.
        steps: solver steps.
        given: images whose small versions are enlarged, by a model that does that; others stand for them, then.
    """

    problem: Problem
    shape: tuple[int, ...]
    classes: int
    seed: int
    n: int = 16
    steps: int = 16
    given: Dataset | None = None

    @torch.no_grad()
    def images(self, model: Model, device: torch.device) -> Pixels:
        """(n, H, W, C) uint8."""
        was_training = model.training
        model.eval()
        labels, low = self._asked(device)
        n = self.n if low is None else len(low.image)
        denoise = Clipped(model.denoiser(self.problem.loss.parameterisation))
        grid = trailing(self.problem.schedule, min(self.steps, self.problem.schedule.T))
        noise = SampleNoise(self.seed, range(n), self.shape, device)
        x = sample(denoise, DDIM(), grid, noise, model.cond(labels, low))
        model.train(was_training)
        pixels: Pixels = self.problem.codec.decode(x).cpu().numpy()
        return pixels

    def _asked(self, device: torch.device) -> tuple[torch.Tensor | None, LowResolution | None]:
        """What the images shall be: labels, and small images enlarged."""
        if self.given is None or self.problem.pairs is None:
            return torch.arange(self.n, device=device) % self.classes if self.classes else None, None
        labels = None if self.given.labels is None else torch.from_numpy(self.given.labels).to(device)
        return labels, self.problem.pairs.plain(self._enlarged(self.given).to(device))

    def _enlarged(self, given: Dataset) -> torch.Tensor:
        x0 = self.problem.codec.encode(torch.from_numpy(given.images))
        image = self.problem.enlarged(x0, None if given.low is None else torch.from_numpy(given.low.images))
        assert image is not None
        return image

    def sides(self) -> list[Pixels]:
        """What stands beside the images: the small ones enlarged, and what these were made of; or nothing."""
        if self.given is None:
            return []
        return [self.problem.codec.decode(self._enlarged(self.given)).numpy(), self.given.images]

    def expected(self, data: Dataset, limit: int = 1024) -> Colour:
        """The colour that previews would have if they were images of the data, their classes in turn."""
        if self.given is not None:
            return colour(self.given.images)
        groups = [np.arange(len(data))]
        if self.classes and data.labels is not None:
            shown = (np.flatnonzero(data.labels == k) for k in range(min(self.n, self.classes)))
            groups = [rows for rows in shown if len(rows)]
        share = -(-min(limit, len(data)) // len(groups))
        rows = [group[np.linspace(0, len(group) - 1, share).round().astype(np.int64)] for group in groups]
        return colour(data.read(np.concatenate(rows)))


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

"""Reconstructions by an autoencoder, for its held-out PSNR and its previews."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self, cast

import numpy as np
import torch

from ddpm.codec.premultiplied import premultiplied, straight
from ddpm.core.model import Model
from ddpm.data.dataset import Dataset
from ddpm.images.pixels import Pixels
from ddpm.metrics.similarity import mean_psnr
from ddpm.networks import Autoencoder
from ddpm.training.preview import Preview

BATCH = 32
"""The number of images at a time."""
WATCHED, SHOWN = (16, 256), 16
"""The fewest and the most held-out images whose PSNR is measured during training, and the number on a preview."""
MEASURED = 4096
"""The most training images, and the most held-out images, that are measured at the end."""


def in_parts(data: Dataset) -> Iterator[torch.Tensor]:
    """The images of a data set in order, (b, H, W, C) uint8 each."""
    for start in range(0, len(data), BATCH):
        yield torch.from_numpy(data.read(np.arange(start, min(start + BATCH, len(data)))))


@torch.no_grad()
def moments(model: Model, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean and the log of the variance of the latents of images (B, H, W, C) uint8."""
    net = cast(Autoencoder, model.net)
    x = premultiplied(images.to(next(net.parameters()).device)).contiguous(memory_format=model.layout)
    mean, logvar = net.moments(x)
    return mean.float(), logvar.float()


@torch.no_grad()
def reconstructed(model: Model, images: torch.Tensor) -> torch.Tensor:
    """Reconstruct images from the mean of their latents: (B, H, W, C) uint8 to the same, on the CPU."""
    mean, _ = moments(model, images)
    y = cast(Autoencoder, model.net).decode(mean.contiguous(memory_format=model.layout))
    return straight(y).cpu()


def squared_errors(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The mean squared error of each image, (B,) float64, of two (B, H, W, C) uint8, with colours times alpha."""
    return (visible(a).double() - visible(b).double()).square().flatten(1).mean(1)


def visible(images: torch.Tensor) -> torch.Tensor:
    """The visible colours of images (B, H, W, C) uint8: (B, C, H, W) in 0 … 255, with colours times alpha."""
    return (premultiplied(images) + 1) * 127.5


@dataclass(frozen=True)
class HeldOutPSNR:
    """The mean PSNR of fixed held-out images."""

    data: Dataset

    @classmethod
    def of(cls, held_out: Dataset, images: int) -> Self:
        """Measure few enough of the held-out images that 20 measurements take about a hundredth of a run's time.

        Args:
            images: the training images of the run, counting repeats.
        """
        least, most = WATCHED
        return cls(held_out.subset(held_out.spread(min(most, max(least, images // 500)))))

    def __call__(self, model: Model, device: torch.device) -> float | None:
        if not len(self.data):
            return None
        errors = [squared_errors(images, reconstructed(model, images)) for images in in_parts(self.data)]
        return mean_psnr(torch.cat(errors))


def preview(data: Dataset, held_out: Dataset) -> Preview:
    """Make a preview: held-out images, or training images if there are none, next to their reconstructions."""
    source = held_out if len(held_out) else data
    shown = source.subset(source.spread(SHOWN)).images

    def draw(model: Model) -> Pixels:
        pixels: Pixels = reconstructed(model, torch.from_numpy(shown)).numpy()
        return pixels

    return Preview(draw, None, [shown])

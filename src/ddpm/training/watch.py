"""Held-out measurements that training acts on."""

from dataclasses import dataclass
from typing import Protocol

import torch

from ddpm.core.model import Model


class ModelMeasure(Protocol):
    """A function of a model: the mean PSNR of held-out images, in dB; None without such images."""

    def __call__(self, model: Model, device: torch.device) -> float | None: ...


class Guarded(Protocol):
    """A discriminator that keeps, with its weights, whether it takes part; see ``ddpm.networks.discriminator``."""

    active: torch.Tensor
    best: torch.Tensor


@dataclass(frozen=True)
class Watch:
    """How often held-out reconstructions are measured, and when a discriminator is dropped.

    Attributes:
        measure: the measure, of the averaged weights.
        every: the images between two measurements.
        tolerance: the fall below the best, in dB, beyond which the discriminator is dropped.
        against: the images after which the model is trained against it, and from which the best counts.
    """

    measure: ModelMeasure
    every: int
    tolerance: float = 0.0
    against: int = 0

    def act(self, model: Model, images: int, psnr: float) -> str | None:
        """Drop a model's discriminator if the PSNR after this many images fell; return a warning if so.

        The state is kept in the model's buffers, so that checkpoints contain it.
        """
        if model.auxiliary is None:
            return None
        discriminator: Guarded = model.auxiliary  # type: ignore[assignment]
        best = psnr if images <= self.against else max(float(discriminator.best), psnr)
        discriminator.best.fill_(best)
        if images <= self.against or not discriminator.active or psnr >= best - self.tolerance:
            return None
        discriminator.active.zero_()
        return f"held-out PSNR fell from {best:.2f} to {psnr:.2f} dB: continuing without the discriminator"

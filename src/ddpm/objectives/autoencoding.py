"""The objective of an autoencoder: reconstruction, with latents that are close to normal and equivariant to scale."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol, cast

import torch
import torch.nn.functional as F

from ddpm.core.condition import Conditions
from ddpm.core.model import Model
from ddpm.core.seed import derive
from ddpm.core.stream import RowStreams
from ddpm.objectives.level_sampling import LossHistory
from ddpm.objectives.objective import Draws

PerceptualDistance = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Images x and reconstructions y, (B, C, H, W) in [-1, 1] -> (B,)."""

LEAST_SCALE = 0.25
"""The smallest scale of downsampled latents (Kouzelis et al. 2025, sec. 4.1)."""

LEAST_SIDE = 8
"""The smallest side of a downsampled image, in pixels."""


class VariationalAutoencoder(Protocol):
    """An autoencoder with normally distributed latents; see ``ddpm.networks.autoencoder``."""

    def moments(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Images (B, C, H, W) in [-1, 1] -> the mean and the log-variance of their latents."""
        ...

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Latents -> images (B, C, H, W)."""
        ...


class Adversary(Protocol):
    """An additional term from a discriminator; see ``ddpm.objectives.adversarial``."""

    def __call__(
        self, model: Model, x: torch.Tensor, y: torch.Tensor, error: torch.Tensor, done: float
    ) -> torch.Tensor:
        """The term of each image, (B,).

        Args:
            x, y: images and reconstructions, (B, C, H, W).
            error: the other terms that depend on y, (B,).
            done: the fraction of the run that is done.
        """
        ...

    @property
    def parts(self) -> "tuple[tuple[float, Adversary], ...]":
        """The share of each of its stages in a run, with one that is in it from the start."""
        ...


@dataclass(frozen=True, slots=True)
class Autoencoding:
    """``|x - y| + w · d(x, y) + k · KL(q(z | x), N(0, 1)) / N`` for images x of N values and ``y = decode(z)``.

    The absolute error and the distance are means. Multiplied by N, this is the loss of Rombach et al. 2022, app. G,
    where the KL divergence is a sum over all latents. In a fraction of the batches, both z and x are downsampled by a
    random scale (Kouzelis et al. 2025, eq. 5), so that resizing latents resizes the images.

    Attributes:
        encode: maps stored images (B, H, W, C) uint8 to x (B, C, H, W) in [-1, 1], with colours times alpha.
        distance: d, a distance between features; None for none.
        perceptual, kl: w and k.
        steps: the number of steps of the run.
        warmup: the fraction of them over which k rises linearly from 0.
        equivariance: the fraction of the batches that are downsampled.
        adversary: an additional term; None for none.
    """

    encode: Callable[[torch.Tensor], torch.Tensor]
    distance: PerceptualDistance | None
    perceptual: float
    kl: float
    steps: int
    warmup: float
    equivariance: float
    adversary: Adversary | None = None

    @property
    def parts(self) -> "tuple[tuple[float, Autoencoding], ...]":
        """The stages of the adversary, at full size; see :class:`~ddpm.objectives.objective.Staged`."""
        stages = ((1.0, None),) if self.adversary is None else self.adversary.parts
        return tuple((share, replace(self, adversary=one, equivariance=0.0)) for share, one in stages)

    def history(self) -> LossHistory | None:
        return None

    def draws(self, streams: RowStreams, history: LossHistory | None) -> Draws:
        return Draws.unweighted(torch.zeros(len(streams.rows), dtype=torch.float64), None, streams)

    def held_out(self, seed: int, n: int, bins: int) -> Iterator[tuple[int, Draws]]:
        """Yield one set of draws, as there are no noise levels: latents without noise, at their full size."""
        streams = RowStreams(derive(seed, "held out"), self.steps, n, range(n))
        yield 0, Draws.unweighted(torch.zeros(n, dtype=torch.float64), None, streams, augmented=False)

    def losses(self, model: Model, images: torch.Tensor, conditions: Conditions, draws: Draws) -> torch.Tensor:
        net, done = cast(VariationalAutoencoder, model.net), draws.streams.step / self.steps
        x = self.encode(images).contiguous(memory_format=model.layout)
        mean, logvar = (moment.float() for moment in net.moments(x))
        # sums over the latents, per value of the image
        divergence = kl_divergence(mean, logvar) / x[0].numel()
        z = mean
        if draws.augmented:
            z = mean + (0.5 * logvar).exp() * draws.streams.normal("latents", mean.shape[1:]).to(mean.device)
            z, x = self._downsampled(z, x, draws.streams)
        y = net.decode(z.contiguous(memory_format=model.layout)).float()
        error = (x - y).abs().flatten(1).mean(1)
        if self.distance is not None and self.perceptual:
            error = error + self.perceptual * self.distance(x, y)
        total = error + self.kl * min(1.0, done / self.warmup if self.warmup else 1.0) * divergence
        if self.adversary is None or not draws.augmented:
            return total
        return total + self.adversary(model, x, y, error, done)

    def _downsampled(self, z: torch.Tensor, x: torch.Tensor, streams: RowStreams) -> tuple[torch.Tensor, torch.Tensor]:
        """Latents and images downsampled by one random scale for the whole global batch, or as they are."""
        chance, scale = streams.whole("scale").uniform(2).tolist()
        if chance >= self.equivariance:
            return z, x
        sides = z.shape[2:]
        scale = LEAST_SCALE + (1 - LEAST_SCALE) * scale
        factor = x.shape[-1] // sides[-1]
        smaller = [scaled(n, factor, scale) for n in sides]
        return resized(z, smaller), resized(x, [factor * n for n in smaller])


def scaled(side: int, factor: int, scale: float = LEAST_SCALE) -> int:
    """A side of downsampled latents, of which each position stands for ``factor`` pixels."""
    return max(min(side, -(-LEAST_SIDE // factor)), round(scale * side))


def kl_divergence(mean: torch.Tensor, logvar: torch.Tensor) -> torch.Tensor:
    """``½ Σ (mean² + var - 1 - log var)``: KL(N(mean, var), N(0, 1)) in nats, summed over all but the first axis."""
    return 0.5 * (mean.square() + logvar.exp() - 1 - logvar).flatten(1).sum(1)


def resized(x: torch.Tensor, size: list[int]) -> torch.Tensor:
    """Resize (B, C, H, W) by antialiased linear interpolation, as products with two matrices.

    PyTorch's own kernels have gradients that are not deterministic on a GPU.
    """
    with torch.autocast(x.device.type, enabled=False):  # an image in half precision would be another target
        rows, columns = (
            # the columns of the identity, resized, are the matrix
            F.interpolate(torch.eye(n, device=x.device)[None, None], (m, n), mode="bilinear", antialias=True)[0, 0]
            for n, m in zip(x.shape[2:], size, strict=True)
        )
        return rows @ x.float() @ columns.mT

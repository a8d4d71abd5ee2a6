"""The codec of latent diffusion: a frozen autoencoder (Rombach et al. 2022)."""

from dataclasses import dataclass
from typing import NamedTuple

import torch

from ddpm.codec.premultiplied import premultiplied, straight
from ddpm.codec.protocol import MomentsOf
from ddpm.codec.tiles import Tiles
from ddpm.core.stream import RowStreams
from ddpm.objectives.autoencoding import VariationalAutoencoder
from ddpm.system.device import exact_convolutions

TILE = 512
"""The longest side, in pixels, of an image that is encoded and decoded at once."""
PIXELS, MOST = {"cpu": 2**16}, 2**20
"""The pixels, by device, that are encoded or decoded at a time."""
ROWS = 16
"""The most images at a time."""


class TrainedAutoencoder(NamedTuple):
    """An autoencoder with its weights, frozen, and the statistics of its latents.

    Attributes:
        mean, spread: (C',), the mean and the standard deviation of each channel, on the network's device.
    """

    net: VariationalAutoencoder
    mean: torch.Tensor
    spread: torch.Tensor


@dataclass(frozen=True, slots=True, eq=False)
class AutoencoderCodec:
    """A codec of latents with mean 0 and standard deviation 1 in each channel, computed in float32, never in TF32.

    If images have an alpha channel, their colours are premultiplied.

    Images are processed in padded batches of a fixed size, so that the rounding of one does not depend on the others.

    Attributes:
        trained: the autoencoder.
        factor: the side, in pixels, of one position of the latents.
        tile: the longest side, in pixels, of an image that is encoded or decoded at once.
    """

    trained: TrainedAutoencoder
    factor: int
    tile: int = TILE

    @torch.no_grad()
    def encode(self, images: torch.Tensor, hidden: torch.Tensor | None = None) -> torch.Tensor:
        """The mean of the latents, normalised: (B, H, W, C) uint8 to (B, C', H / factor, W / factor) float32."""
        return self._normalised(self._moments(images, hidden).chunk(2, 1)[0])

    @torch.no_grad()
    def decode(self, x: torch.Tensor) -> torch.Tensor:
        """Normalised latents to images (B, H, W, C) uint8, clamped to their range."""
        z = x.float() * self._per_channel(self.trained.spread) + self._per_channel(self.trained.mean)
        decoded = self._in_parts(Tiles(self.trained.net.decode, 1, self.factor, self._units), z, self.factor)
        return straight(decoded)

    @property
    def moments(self) -> MomentsOf:
        return self._halved

    def sample(self, stored: torch.Tensor, streams: RowStreams) -> torch.Tensor:
        """Draw latents ``mean + std · eps`` from stored moments (B, 2 C', h, w), and normalise them."""
        mean, logvar = stored.float().chunk(2, 1)
        eps = streams.normal("posterior", mean.shape[1:]).to(mean.device)
        return self._normalised(mean + (0.5 * logvar).exp() * eps)

    @torch.no_grad()
    def _halved(self, images: torch.Tensor) -> torch.Tensor:
        return self._moments(images).half()

    def _moments(self, images: torch.Tensor, hidden: torch.Tensor | None = None) -> torch.Tensor:
        """The mean and the log-variance of the latents, (B, 2 C', h, w) float32."""

        def net(x: torch.Tensor) -> torch.Tensor:
            return torch.cat(self.trained.net.moments(x), 1)

        x = premultiplied(images) if hidden is None else premultiplied(images).masked_fill(hidden[:, None], 0)
        return self._in_parts(Tiles(net, self.factor, 1, self._units), x, 1)

    @property
    def _units(self) -> int:
        return max(1, self.tile // self.factor)

    @exact_convolutions()
    def _in_parts(self, apply: Tiles, x: torch.Tensor, scale: int) -> torch.Tensor:
        """Apply a network to a few images at a time, the last one repeated to fill the last batch.

        Args:
            scale: the pixels of one position of x, on each side.
        """
        area = x.shape[2] * x.shape[3] * scale**2
        rows = min(ROWS, max(1, PIXELS.get(x.device.type, MOST) // area))
        found = []
        with torch.autocast(x.device.type, enabled=False):
            for part in torch.split(x, rows):
                filled = torch.cat([part, part[-1:].expand(rows - len(part), -1, -1, -1)])
                found.append(apply(filled)[: len(part)])
        return torch.cat(found)

    def _normalised(self, z: torch.Tensor) -> torch.Tensor:
        return (z - self._per_channel(self.trained.mean)) / self._per_channel(self.trained.spread)

    @staticmethod
    def _per_channel(values: torch.Tensor) -> torch.Tensor:
        """(C',) -> (C', 1, 1)."""
        return values[:, None, None]

"""The features of the Fréchet Inception distance and the Inception score."""

from collections.abc import Mapping
from pathlib import Path

import torch

from ddpm.metrics.features.inception_blocks import InceptionV3
from ddpm.metrics.features.rgb import as_rgb
from ddpm.metrics.features.weights import extractor_hash, fetch, fill, read_weights
from ddpm.system.cache import weights_folder
from ddpm.system.device import exact_convolutions
from ddpm.system.meta import shapes_only

URL = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
"""Google's weights of 2015-12-05 (Apache 2.0), converted by the authors of torch-fidelity; not part of this package."""
SHA256 = "6726825d"
"""The first digits of the hash, as in the file's name."""
PIECE = 32
"""The batch size: about 700 MB."""


class Inception:
    """Inception-v3 as Heusel et al. 2017 used it: 2048 features, averaged over the last 8 × 8 places.

    Images are resized to 299 × 299 as in that graph and scaled by ``(x - 128) / 128``. Implementations that resize
    differently (such as pytorch-fid's default) give other numbers, unless images are already 299 × 299. Computed in
    float32, never in TF32.

    Args:
        state: the weights by name, as in the file at ``URL``.
        source: the origin of the weights, for messages.

    Raises:
        InputError: the weights belong to another network.
    """

    name = "inception"
    resize = "bilinear to 299 × 299 as TensorFlow 1 does it, without half-pixel centres and antialiasing"
    dim = 2048
    size = (299, 299)

    def __init__(self, state: Mapping[str, torch.Tensor], device: torch.device, source: str = "the state dict") -> None:
        with shapes_only():
            net = InceptionV3()
        fill(net, state, source)
        self.hash = extractor_hash(net.state_dict(), f"{self.resize}; (x - 128) / 128; alpha on white")
        self._device = device
        net = net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._net = net.eval().requires_grad_(False)

    @classmethod
    def load(cls, weights: str | None, device: torch.device) -> "Inception":
        """Load the weights from a file; if None, from the published one, which is downloaded once into the cache.

        Raises:
            InputError: the weights cannot be read or downloaded.
        """
        path = Path(weights) if weights else fetch(URL, SHA256, weights_folder())
        return cls(read_weights(path), device, str(path))

    @classmethod
    def cached(cls, device: torch.device) -> "Inception | None":
        """Load the published weights if an earlier command downloaded them; None if not."""
        path = weights_folder() / URL.rsplit("/", 1)[-1]
        return cls(read_weights(path), device, str(path)) if path.exists() else None

    @torch.no_grad()
    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """(B, H, W, C) uint8 -> (B, 2048) float32, none below 0, on the CPU."""
        with exact_convolutions():
            return torch.cat([self._features(piece) for piece in torch.split(images, PIECE)])

    def _features(self, images: torch.Tensor) -> torch.Tensor:
        x = (tensorflow_resize(as_rgb(images.to(self._device)), self.size) - 128) / 128
        features: torch.Tensor = self._net(x.contiguous(memory_format=torch.channels_last))
        return features.cpu()

    @torch.no_grad()
    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """(N, 2048) features -> (N, 1008) logits without the bias, for the Inception score."""
        logits: torch.Tensor = features.to(self._device) @ self._net.fc.weight.T
        return logits.cpu()


def tensorflow_resize(x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Resize as TensorFlow 1's bilinear: position i of the output is at ``i · in / out`` of the input.

    Products are float32, as in the original; ``a + (b - a) · w`` between two neighbours, along rows first. Shapes
    (B, C, H, W) -> (B, C, *size).
    """
    top, bottom, down = _neighbours(x.shape[-2], size[0], x.device)
    left, right, across = _neighbours(x.shape[-1], size[1], x.device)
    x = x[..., left] + (x[..., right] - x[..., left]) * across
    upper, lower = x[..., top, :], x[..., bottom, :]
    return upper + (lower - upper) * down[:, None]


def _neighbours(n: int, out: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    place = torch.arange(out, dtype=torch.float32, device=device) * torch.tensor(n / out, device=device)
    first = place.long()
    return first, (first + 1).clamp(max=n - 1), place - first

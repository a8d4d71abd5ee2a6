"""Features that need no download: a small network whose weights ship with the package."""

from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load as tensors_from_bytes
from torch import nn

from ddpm.metrics.features.rgb import as_rgb

WEIGHTS = Path(__file__).with_name("embedded.safetensors")
WIDTHS = (32, 64, 128, 192)
SIDE = 32
LARGEST = 128
"""The longest side for the features of details; larger images are resized to it."""
SCALE = 10.0
"""Scales the mean square of features to about 1: far below it, the kernel distance would only compare means."""
VERSION = "embedded 1"
"""Changed whenever the same weights would give an image different features."""


class ConvolutionStage(nn.Module):
    """Two convolutions at half the input's resolution, the second one residual. BatchNorm is folded into them."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, out, 3, padding=1)
        self.second = nn.Conv2d(out, out, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, channels, H, W) -> (B, out, H / 2, W / 2)."""
        x = F.relu(self.first(F.avg_pool2d(x, 2)))
        return F.relu(x + self.second(x))


class EmbeddedNetwork(nn.Module):
    """A network of four resolutions, from fine texture to the whole, each averaged over the image."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, WIDTHS[0], 3, padding=1)
        self.stages = nn.ModuleList(ConvolutionStage(a, b) for a, b in pairwise(WIDTHS))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) with H, W at least 8 -> (B, 416)."""
        return torch.cat([features.mean((2, 3)) for features in self.maps(x)], 1)

    def maps(self, x: torch.Tensor) -> list[torch.Tensor]:
        """(B, 3, H, W) -> the features of each resolution before the average, (B, C, H / 2^i, W / 2^i)."""
        found = [F.relu(self.stem(x))]
        for stage in self.stages:
            found.append(stage(found[-1]))
        return found


class Embedded:
    """Features of a network of 0.8 M weights, trained to classify CIFAR-10 and to estimate the strength of blur, noise
    or JPEG. docs/evaluation.md explains the choice; benchmarks/embedded_features.py trains such weights.

    Images are resized to 32 × 32. Larger ones are also processed at their own size, for their details.

    Attributes:
        dim: 416, or 832 for images larger than 32 × 32.
    """

    name = "embedded"

    def __init__(self, size: tuple[int, int], device: torch.device | str = "cpu") -> None:
        """
        Args:
            size: (H, W) of the images.
        """
        data = WEIGHTS.read_bytes()
        self.device = device
        self.network = EmbeddedNetwork()
        self.network.load_state_dict({k: v.float() for k, v in tensors_from_bytes(data).items()})
        self.network.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self.hash = sha256(f"{VERSION} {SIDE} {LARGEST} {SCALE} ".encode() + data).hexdigest()[:16]
        self.fine = _fine(size)
        self.dim = sum(WIDTHS) * (1 if self.fine is None else 2)
        self.resize = f"antialiased bicubic to {SIDE} × {SIDE}"
        if self.fine is not None:
            self.resize += f", and {'as they are' if self.fine == size else f'to {self.fine[0]} × {self.fine[1]}'}"

    @torch.no_grad()
    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """(B, H, W, C) uint8 -> (B, dim) float32."""
        x = as_rgb(images).to(self.device)
        looks = [self.network(_prepare(x, (SIDE, SIDE)))]
        if self.fine is not None:
            looks.append(self.network(_prepare(x, self.fine)))
        return SCALE * torch.cat(looks, 1).cpu()


def _fine(size: tuple[int, int]) -> tuple[int, int] | None:
    """Return the size (H, W) for details, or None if 32 × 32 contains them all."""
    longest = max(size)
    if longest <= SIDE:
        return None
    scale = min(1.0, LARGEST / longest)
    height, width = (max(8, round(n * scale)) for n in size)
    return height, width


def _prepare(x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Resize (B, 3, H, W) in 0 … 255 and scale it to the network's input range."""
    if tuple(x.shape[2:]) != size:
        x = F.interpolate(x, size, mode="bicubic", antialias=True).clamp(0, 255)
    return ((x - 127.5) / 64).contiguous(memory_format=torch.channels_last)

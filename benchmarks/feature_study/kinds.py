"""The features that are compared, by name."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load as tensors_from_bytes
from torch import nn

from ddpm.metrics.features import Extractor
from ddpm.metrics.features.embedded import Embedded
from ddpm.metrics.features.inception import Inception
from ddpm.metrics.features.rgb import as_rgb

PIXELS = 8


class Pixels:
    """A picture's averages over 8 × 8 areas, as they are."""

    name = "pixels"
    resize = f"averages of {PIXELS} × {PIXELS} areas"
    dim = 3 * PIXELS * PIXELS
    hash = sha256(f"pixels {PIXELS}".encode()).hexdigest()[:16]

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """(B, H, W, C) uint8 -> (B, 192) float32."""
        return F.adaptive_avg_pool2d(as_rgb(images) / 127.5 - 1, PIXELS).flatten(1)


def untrained(size: tuple[int, int], seed: int = 0) -> Embedded:
    """The embedded network with random weights: orthogonal ones, times the root of 2 for its ReLUs.

    Naeem et al. 2020, section 4.3, recommend features of random networks where no trained one fits the images.
    """
    extractor = Embedded(size)
    torch.manual_seed(seed)
    for module in extractor.network.modules():
        if isinstance(module, nn.Conv2d):
            # not in place, as QR cannot write to channels last
            module.weight.data.copy_(nn.init.orthogonal_(torch.empty(module.weight.shape), 2**0.5))
            nn.init.zeros_(module.bias)
    extractor.name, extractor.hash = "random", sha256(f"{extractor.hash} random {seed}".encode()).hexdigest()[:16]
    return extractor


def of_file(path: Path, size: tuple[int, int]) -> Embedded:
    """The embedded network with the weights of a file, as benchmarks/embedded_features.py writes it."""
    data = path.read_bytes()
    extractor = Embedded(size)
    extractor.network.load_state_dict({k: v.float() for k, v in tensors_from_bytes(data).items()})
    extractor.name, extractor.hash = path.stem, sha256(extractor.hash.encode() + data).hexdigest()[:16]
    return extractor


def kind(name: str, size: tuple[int, int], weights: str | None) -> Extractor:
    """One by its name, or by the file of an embedded network.

    Args:
        size: (H, W) of the images.
        weights: the file of Inception's.
    """
    match name:
        case "embedded":
            return Embedded(size)
        case "random":
            return untrained(size)
        case "pixels":
            return Pixels()
        case "inception":
            return Inception.load(weights, torch.device("cpu"))
        case _:
            return of_file(Path(name), size)


def kinds(names: Sequence[str], size: tuple[int, int], weights: str | None) -> list[Extractor]:
    return [kind(name, size, weights) for name in names]

"""Weights and images for Inception that are functions of a seed, for tests and for the benchmark beside the peer."""

import torch

from ddpm.core.seed import derive
from ddpm.metrics.features.inception_blocks import InceptionV3

SIZES = ((32, 32), (8, 12))
"""(H, W) of the images whose features by the peer are recorded."""


def random_weights(seed: int = 0) -> dict[str, torch.Tensor]:
    """Weights under which features neither vanish nor explode, and differ from image to image.

    Uniform numbers only, which are the same bits on every machine. Half the mean of each kernel is taken off: with all
    of it on, pictures look alike to the deep layers, and without it a rounding error grows as large as 1e-4.
    """
    draw = torch.Generator().manual_seed(derive(seed, "inception"))
    with torch.device("meta"):
        shapes = {name: w.shape for name, w in InceptionV3().state_dict().items() if w.ndim}
    state = {}
    for name, shape in shapes.items():
        u = torch.rand(shape, generator=draw)
        if len(shape) > 1:
            w = (2 * u - 1) * (6 / shape[1:].numel()) ** 0.5
            state[name] = w - 0.5 * w.mean(tuple(range(1, len(shape))), keepdim=True)
        elif name.endswith(("bn.weight", "running_var")):
            state[name] = 0.5 + u
        else:
            state[name] = 0.4 * u - 0.2
    return state


def random_images(n: int, height: int, width: int) -> torch.Tensor:
    """(n, H, W, 3) uint8."""
    draw = torch.Generator().manual_seed(derive(0, "images", height, width))
    return torch.randint(256, (n, height, width, 3), dtype=torch.uint8, generator=draw)

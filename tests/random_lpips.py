"""Weights for LPIPS that are functions of a seed, under the published names."""

from typing import Any

import torch
import torch.nn.functional as F

SLICES = [
    [(3, 64, 0), (64, 64, 2)],
    [(64, 128, 5), (128, 128, 7)],
    [(128, 256, 10), (256, 256, 12), (256, 256, 14)],
    [(256, 512, 17), (512, 512, 19), (512, 512, 21)],
    [(512, 512, 24), (512, 512, 26), (512, 512, 28)],
]
"""Input channels, output channels and number of each convolution."""


def random_weights(seed: int = 0) -> dict[str, torch.Tensor]:
    """The whole published state dict: with the constants, and with each head twice."""
    draw = torch.Generator().manual_seed(seed)
    state: dict[str, Any] = {
        "scaling_layer.shift": torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1),
        "scaling_layer.scale": torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1),
    }
    for i, convolutions in enumerate(SLICES):
        for channels, out, number in convolutions:
            name = f"net.slice{i + 1}.{number}"
            state[f"{name}.weight"] = torch.randn(out, channels, 3, 3, generator=draw) * (2 / (9 * channels)) ** 0.5
            state[f"{name}.bias"] = 0.1 * torch.randn(out, generator=draw)
        state[f"lin{i}.model.1.weight"] = torch.rand(1, convolutions[-1][1], 1, 1, generator=draw)
        state[f"lins.{i}.model.1.weight"] = state[f"lin{i}.model.1.weight"]
    return state


def reference(state: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """LPIPS of colour images (B, 3, H, W) in [-1, 1] in float64, (B,), written as a sum over layers and channels."""
    w = {name: value.double() for name, value in state.items()}
    a, b = ((v.double() - w["scaling_layer.shift"]) / w["scaling_layer.scale"] for v in (x, y))
    total = torch.zeros(len(x), dtype=torch.float64)
    for i, convolutions in enumerate(SLICES):
        if i:
            a, b = (v.unfold(2, 2, 2).unfold(3, 2, 2).amax((4, 5)) for v in (a, b))
        for _, _, number in convolutions:
            name = f"net.slice{i + 1}.{number}"
            a, b = (F.conv2d(v, w[f"{name}.weight"], w[f"{name}.bias"], padding=1).clamp(min=0) for v in (a, b))
        head = w[f"lin{i}.model.1.weight"].flatten()
        one, other = (v / (v.square().sum(1, keepdim=True).sqrt() + 1e-10) for v in (a, b))
        total += torch.einsum("c,bchw->b", head, (one - other) ** 2) / a[0, 0].numel()
    return total

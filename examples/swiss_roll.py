"""Learn points on a spiral, with nothing but the low-level parts.

A data set, a network and an optimiser of one's own; from ddpm come the schedule, the loss, the solver and the loop.
Points are tensors (B, 2): two channels and no spatial axes.

    python examples/swiss_roll.py

About 10 s on one core. Writes swiss_roll.png: data in grey, samples in blue.
"""

import math

import torch
from PIL import Image, ImageDraw
from torch import nn

from ddpm.core import Cond, NetworkDenoiser, Parameterisation, discrete, prediction
from ddpm.objectives import SimpleLoss
from ddpm.sampling import DDIM, SampleNoise, grid, rows_of, sample

LEVELS = discrete.cosine(1000)


def swiss_roll(n: int, seed: int) -> torch.Tensor:
    """n points of a spiral with some noise across it, (n, 2), of mean about 0 and spread about 1."""
    random = torch.Generator().manual_seed(seed)
    angle = 1.5 * math.pi * (1 + 2 * torch.rand(n, generator=random))
    points = angle[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)
    return (points + 0.3 * torch.randn(n, 2, generator=random)) / 7


class Perceptron(nn.Module):
    """``net(x, t, cond)``: x (B, 2) and t (B,) on the scale of 0 … 1000 -> (B, 2)."""

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.register_buffer("frequency", 2.0 ** torch.arange(6) * math.pi / 1000)
        layers: list[nn.Module] = [nn.Linear(2 + 12, width), nn.SiLU()]
        for _ in range(3):
            layers += [nn.Linear(width, width), nn.SiLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(width, 2))

    def forward(self, x: torch.Tensor, t: torch.Tensor, cond: Cond | None = None) -> torch.Tensor:
        angle = t[:, None] * self.frequency
        return self.layers(torch.cat([x, angle.sin(), angle.cos()], dim=1))


def train(net: nn.Module, steps: int, batch: int = 512) -> None:
    """Fit the network to the spiral by the simple loss."""
    data, loss = swiss_roll(10_000, seed=0), SimpleLoss(Parameterisation(prediction.v))
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        x0 = data[torch.randint(len(data), (batch,))]
        level = LEVELS.levels(torch.randint(1, LEVELS.T + 1, (batch,)))
        optimizer.zero_grad()
        loss(net, x0, torch.randn_like(x0), level).mean().backward()
        optimizer.step()
        decay.step()


def draw(net: nn.Module, n: int) -> torch.Tensor:
    """n new points, (n, 2)."""
    noise = SampleNoise(rows_of(0, range(n)), (2,))
    return sample(NetworkDenoiser(net, Parameterisation(prediction.v)), DDIM(), grid.trailing(LEVELS, 50), noise)


def scatter(points: dict[str, torch.Tensor], side: int = 500) -> Image.Image:
    """Colour -> points (n, 2), of which [-2.4, 2.4] is in the picture."""
    picture = Image.new("RGB", (side, side), "white")
    pen = ImageDraw.Draw(picture)
    for colour, where in points.items():
        for x, y in ((where / 2.4 + 1) * side / 2).tolist():
            pen.ellipse((x - 1.5, y - 1.5, x + 1.5, y + 1.5), fill=colour)
    return picture


if __name__ == "__main__":
    torch.manual_seed(0)
    net = Perceptron()
    train(net, steps=4000)
    scatter({"lightgrey": swiss_roll(2000, seed=1), "royalblue": draw(net, 2000)}).save("swiss_roll.png")
    print("swiss_roll.png")

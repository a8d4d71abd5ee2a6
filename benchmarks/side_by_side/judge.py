"""A small classifier, trained on real images, as a judge of samples."""

from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ddpm.data.dataset import Dataset

BATCH = 64


class Judge(nn.Module):
    """A small classifier of images, and an extractor: its features are the values before the last layer."""

    name, hash, resize, dim = "classifier", "", "none", 192

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, width in pairwise((channels, 48, 96, self.dim)):
            layers += [nn.Conv2d(before, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            layers += [nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            layers += [nn.MaxPool2d(2)]
        self.body, self.last = (
            nn.Sequential(*layers).to(memory_format=torch.channels_last),
            nn.Linear(self.dim, classes),
        )

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """(B, H, W, C) uint8 -> (B, dim)."""
        x = images.permute(0, 3, 1, 2).float().sub(127.5).div(64).contiguous(memory_format=torch.channels_last)
        return self.body(x).float().mean((2, 3))

    @torch.no_grad()
    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        return self.eval().features(images)

    @torch.no_grad()
    def right(self, features: torch.Tensor, labels: np.ndarray) -> float:
        """The share of images with these features (n, dim) that are classified as their labels (n,)."""
        return float((self.last(features).argmax(1) == torch.from_numpy(labels)).double().mean())

    def fit(self, data: Dataset, epochs: int) -> None:
        """Train on images in random order, half of them mirrored if they are photographs."""
        generator = np.random.default_rng(0)
        steps = epochs * (len(data) // BATCH)
        adam = torch.optim.AdamW(self.parameters(), weight_decay=0.01)
        rate = torch.optim.lr_scheduler.OneCycleLR(adam, 4e-3, total_steps=steps)
        rows = np.concatenate([generator.permutation(len(data))[: len(data) // BATCH * BATCH] for _ in range(epochs)])
        for at in rows.reshape(steps, BATCH):
            images = torch.from_numpy(data.read(at))
            if min(data.shape[:2]) >= 32 and generator.random() < 0.5:
                images = images.flip(2)
            with torch.autocast("cpu", torch.bfloat16):
                found = self.train().features(images)
            loss = F.cross_entropy(self.last(found), torch.from_numpy(data.labels[at]))
            adam.zero_grad()
            loss.backward()
            adam.step()
            rate.step()

"""Retrain the network of the embedded features, and write its weights in the shipped format.

    python benchmarks/embedded_features.py TRAIN TEST OUT.safetensors [--steps 20]

TRAIN and TEST are CIFAR-10, as a folder or a .zip with one folder per class. The network learns two things at once: the
ten classes, from its last resolution, and, from all four, the strength of a blur, noise or JPEG compression, one of
which damages half of the images. The first gives features of the content, the second keeps the traces of bad rendering
that a classifier learns to ignore. Convolutions are followed by BatchNorm, which is folded into them for the file.
Takes about seven minutes on one core; ``--steps`` stops earlier, to check that it runs.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from feature_study.degradations import blur, jpeg, noise
from safetensors.torch import save_file
from torch import nn

from ddpm.data.cache import prepare
from ddpm.data.dataset import Dataset
from ddpm.data.open import open_source
from ddpm.images.geometry import Geometry
from ddpm.images.pixels import Pixels
from ddpm.metrics.features.embedded import SIDE, WIDTHS, EmbeddedNetwork, _prepare

BATCH = 126
KINDS = 3
"""Kinds of damage: blur, noise, JPEG."""
RATE = 0.2
MARGIN = 4
"""The most pixels by which images are shifted."""


class Trained(nn.Module):
    """The network with BatchNorm after each convolution, a head for classes and one for damage."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.network = with_norms(EmbeddedNetwork())
        self.classes = nn.Linear(WIDTHS[-1], classes)
        self.damage = nn.Linear(sum(WIDTHS), KINDS)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, 3, 32, 32) -> (B, classes) logits, (B, 3) damage."""
        features = self.network(x)
        return self.classes(features[:, -WIDTHS[-1] :]), self.damage(features)


def with_norms(network: EmbeddedNetwork) -> EmbeddedNetwork:
    """Move the bias of each convolution to a BatchNorm that follows it."""
    for name, conv in convolutions(network):
        plain = nn.Conv2d(conv.in_channels, conv.out_channels, 3, padding=1, bias=False)
        network.set_submodule(name, nn.Sequential(plain, nn.BatchNorm2d(conv.out_channels)))
    return network


def folded(network: EmbeddedNetwork) -> EmbeddedNetwork:
    """Fold into the equal plain network: ``(w * x - m) g / s + b = (w g / s) * x + (b - m g / s)``."""
    out = EmbeddedNetwork()
    for name, conv in convolutions(out):
        plain, norm = network.get_submodule(name).children()
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        conv.weight.data = plain.weight * scale[:, None, None, None]  # (out, in, 3, 3)
        conv.bias.data = norm.bias - norm.running_mean * scale
    return out.eval().requires_grad_(False)


def convolutions(network: nn.Module) -> list[tuple[str, nn.Conv2d]]:
    return [(name, module) for name, module in network.named_modules() if isinstance(module, nn.Conv2d)]


def damaged(images: Pixels, rng: np.random.Generator) -> tuple[Pixels, torch.Tensor]:
    """Damage the first half of a batch, a third of it in each of three ways.

    Returns:
        the images, (B, H, W, C), and (B, 3) ``log(1 + e) / 3``, e the root mean square error in 1 / 255 in the column
        of its kind. Errors and not settings, as the same blur does much to one picture and nothing to another.
    """
    out, n = images.copy(), len(images) // (2 * KINDS)
    for i in range(n):
        strengths = 0.3 + 1.3 * rng.random(), 40 ** rng.random(), 95 - 90 * rng.random()
        for kind, (damage, strength) in enumerate(zip((blur, noise, jpeg), strengths, strict=True)):
            timestep = slice(kind * n + i, kind * n + i + 1)
            out[timestep] = damage(images[timestep], strength, rng)
    error = np.sqrt(np.square(out.astype(np.float32) - images).mean((1, 2, 3)))
    target = torch.zeros(len(images), KINDS)
    for kind in range(KINDS):
        target[kind * n : (kind + 1) * n, kind] = torch.from_numpy(np.log1p(error[kind * n : (kind + 1) * n]) / 3)
    return out, target


def varied(images: Pixels, rng: np.random.Generator) -> Pixels:
    """Shift all images by the same few pixels, and mirror each at random."""
    top, left = rng.integers(0, 2 * MARGIN + 1, 2)
    wide = np.pad(images, ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), mode="reflect")
    moved = wide[:, top : top + SIDE, left : left + SIDE]
    return np.where(rng.random(len(images))[:, None, None, None] < 0.5, moved[:, :, ::-1], moved)


def train(data: Dataset, epochs: int, limit: int | None) -> Trained:
    """Train by SGD in one cycle of its learning rate."""
    assert data.labels is not None
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    net = Trained(len(data.classes)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(net.parameters(), RATE, momentum=0.9, nesterov=True, weight_decay=5e-4)
    steps = epochs * (len(data) // BATCH)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.2)
    began = time.perf_counter()
    for step in range(min(steps, limit or steps)):
        timestep = step % (len(data) // BATCH)
        if timestep == 0:
            order = rng.permutation(len(data))
        rows = order[timestep * BATCH : (timestep + 1) * BATCH]
        images, damage = damaged(varied(data.read(rows), rng), rng)
        with torch.autocast("cpu", torch.bfloat16):
            logits, read = net(tensor(images))
        right = F.cross_entropy(logits.float(), torch.from_numpy(data.labels[rows]), label_smoothing=0.1)
        loss = right + 2 * F.smooth_l1_loss(read.float(), damage, beta=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate.step()
        if (step + 1) % 100 == 0:
            speed = (step + 1) * BATCH / (time.perf_counter() - began)
            print(f"step {step + 1} of {steps}: loss {loss.item():.3f}, {speed:.0f} images/s", flush=True)
    return net.eval()


@torch.no_grad()
def test(net: Trained, data: Dataset) -> tuple[float, float]:
    """Measure accuracy on undamaged images, and the correlation of true and predicted damage on damaged ones."""
    assert data.labels is not None
    rng, right, pairs = np.random.default_rng(1), 0, []
    for first in range(0, len(data), 500):
        rows = np.arange(first, min(first + 500, len(data)))
        images = data.read(rows)
        right += int((net(tensor(images))[0].argmax(1) == torch.from_numpy(data.labels[rows])).sum())
        worse, damage = damaged(images, rng)
        pairs.append(torch.stack([damage.flatten(), net(tensor(worse))[1].flatten()]))
    return right / len(data), float(torch.corrcoef(torch.cat(pairs, 1))[0, 1])


def tensor(images: Pixels) -> torch.Tensor:
    """(B, H, W, 3) uint8 -> the network's input."""
    return _prepare(torch.from_numpy(images).movedim(-1, 1).float(), (SIDE, SIDE))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", help="CIFAR-10's training images")
    parser.add_argument("test", help="CIFAR-10's test images")
    parser.add_argument("out", type=Path, help="a .safetensors file")
    parser.add_argument("--epochs", type=int, default=7)
    parser.add_argument("--steps", type=int, help="stop after this many")
    asked = parser.parse_args()
    geometry = Geometry((SIDE, SIDE), "RGB")
    seen, others = (prepare(open_source(source), geometry) for source in (asked.train, asked.test))
    net = train(seen, asked.epochs, asked.steps)
    accuracy, read = test(net, others)
    print(f"test accuracy: {100 * accuracy:.1f} %; correlation with the true damage: {read:.3f}")
    weights = folded(net.network).half().state_dict()
    save_file({name: w.contiguous() for name, w in weights.items()}, asked.out)
    print(f"written: {asked.out}, {sum(w.numel() for w in weights.values()) / 1e6:.2f} M weights in float16")


if __name__ == "__main__":
    main()

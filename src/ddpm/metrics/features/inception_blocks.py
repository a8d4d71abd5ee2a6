"""Inception-v3 as the graph of 2015-12-05 holds it, the network of the Fréchet Inception distance."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

Kernel = int | tuple[int, int]
Layer = tuple[int, Kernel]
"""A convolution: its output channels and kernel."""
Branch = Sequence[Layer | list[Layer]]
"""A sequence of convolutions; those in a list share their input, and their outputs are concatenated."""
Pool = Callable[[torch.Tensor], torch.Tensor]


mean_pool = partial(F.avg_pool2d, kernel_size=3, stride=1, padding=1, count_include_pad=False)
"""The mean over 3 × 3; at the border over the valid part, as in TensorFlow."""
max_pool = partial(F.max_pool2d, kernel_size=3, stride=1, padding=1)
halve = partial(F.max_pool2d, kernel_size=3, stride=2)


class Conv(nn.Module):
    """A convolution without bias, followed by BatchNorm with fixed statistics and ReLU."""

    def __init__(self, channels: int, out: int, kernel: Kernel, stride: int = 1, pad: bool = True) -> None:
        super().__init__()
        height, width = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        padding = (height // 2, width // 2) if pad else 0
        self.conv = nn.Conv2d(channels, out, (height, width), stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(out, eps=1e-3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


class Mixed(nn.Module):
    """Parallel branches, concatenated along channels.

    Convolution i of branch "b" is named "b" if it is the only one, else "b_i"; two with the same input are "b_ia" and
    "b_ib". The branch "branch_pool" starts with the pool. With a stride of 2, the last convolution of each branch is
    strided and not padded.
    """

    def __init__(self, channels: int, pool: Pool, stride: int = 1, **branches: Branch) -> None:
        super().__init__()
        self.pool = pool
        self.paths: dict[str, list[list[str]]] = {}
        for branch, steps in branches.items():
            width, path = channels, []
            for i, step in enumerate(steps, 1):
                last = i == len(steps)
                name = branch if len(steps) == 1 else f"{branch}_{i}"
                layers = (
                    {name: step} if isinstance(step, tuple) else dict(zip((f"{name}a", f"{name}b"), step, strict=True))
                )
                for key, (out, kernel) in layers.items():
                    shrinks = last and stride > 1
                    self.add_module(key, Conv(width, out, kernel, stride if shrinks else 1, not shrinks))
                width = sum(out for out, _ in layers.values())
                path.append(list(layers))
            self.paths[branch] = path

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outs = []
        for branch, path in self.paths.items():
            y = self.pool(x) if branch == "branch_pool" else x
            for names in path:
                y = torch.cat([self.get_submodule(name)(y) for name in names], 1)
            outs.append(y)
        return torch.cat(outs, 1)


def mixed_35(channels: int, pooled: int) -> Mixed:
    """A block at 35 × 35."""
    return Mixed(
        channels,
        mean_pool,
        branch1x1=[(64, 1)],
        branch5x5=[(48, 1), (64, 5)],
        branch3x3dbl=[(64, 1), (96, 3), (96, 3)],
        branch_pool=[(pooled, 1)],
    )


def mixed_17(channels: int, inner: int) -> Mixed:
    """A block at 17 × 17, with kernels of one row or one column."""
    row, column = (1, 7), (7, 1)
    return Mixed(
        channels,
        mean_pool,
        branch1x1=[(192, 1)],
        branch7x7=[(inner, 1), (inner, row), (192, column)],
        branch7x7dbl=[(inner, 1), (inner, column), (inner, row), (inner, column), (192, row)],
        branch_pool=[(192, 1)],
    )


def mixed_8(channels: int, pool: Pool) -> Mixed:
    """A block at 8 × 8, with a row kernel and a column kernel in parallel."""
    cross: list[Layer] = [(384, (1, 3)), (384, (3, 1))]
    return Mixed(
        channels,
        pool,
        branch1x1=[(320, 1)],
        branch3x3=[(384, 1), cross],
        branch3x3dbl=[(448, 1), (384, 3), cross],
        branch_pool=[(192, 1)],
    )


def to_17(channels: int) -> Mixed:
    """A block from 35 × 35 to 17 × 17."""
    return Mixed(channels, halve, 2, branch3x3=[(384, 3)], branch3x3dbl=[(64, 1), (96, 3), (96, 3)], branch_pool=[])


def to_8(channels: int) -> Mixed:
    """A block from 17 × 17 to 8 × 8."""
    row, column = (1, 7), (7, 1)
    return Mixed(
        channels,
        halve,
        2,
        branch3x3=[(192, 1), (320, 3)],
        branch7x7x3=[(192, 1), (192, row), (192, column), (192, 3)],
        branch_pool=[],
    )


class InceptionV3(nn.Module):
    """Inception-v3 (Szegedy et al. 2016, "Rethinking the Inception Architecture"), as in the released graph.

    Unlike the paper, it has 1008 classes, average pooling excludes the padding, and the last block uses max pooling.
    Weights have the names in the converted file that implementations of the distance share.
    """

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Conv(3, 32, 3, stride=2, pad=False)
        self.Conv2d_2a_3x3 = Conv(32, 32, 3, pad=False)
        self.Conv2d_2b_3x3 = Conv(32, 64, 3)
        self.Conv2d_3b_1x1 = Conv(64, 80, 1)
        self.Conv2d_4a_3x3 = Conv(80, 192, 3, pad=False)
        self.Mixed_5b = mixed_35(192, pooled=32)
        self.Mixed_5c = mixed_35(256, pooled=64)
        self.Mixed_5d = mixed_35(288, pooled=64)
        self.Mixed_6a = to_17(288)
        self.Mixed_6b = mixed_17(768, inner=128)
        self.Mixed_6c = mixed_17(768, inner=160)
        self.Mixed_6d = mixed_17(768, inner=160)
        self.Mixed_6e = mixed_17(768, inner=192)
        self.Mixed_7a = to_8(768)
        self.Mixed_7b = mixed_8(1280, mean_pool)
        self.Mixed_7c = mixed_8(2048, max_pool)
        self.fc = nn.Linear(2048, 1008)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, 299, 299) in [-1, 1) -> (B, 2048): the features before the classes, averaged over the image."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(halve(x)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(halve(x))))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        return x.mean((2, 3))

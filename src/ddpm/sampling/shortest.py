"""The best grid along known solutions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ddpm.core import Level
from ddpm.core.gaussian import ddim


@dataclass(frozen=True, slots=True, eq=False)
class Paths:
    """Solutions at many levels.

    Attributes:
        levels: noisiest first, the last clean.
        x: (B, C, *space) at each of them.
        x0: the denoiser's x0 at each noisy level.
    """

    levels: Sequence[Level]
    x: Sequence[torch.Tensor]
    x0: Sequence[torch.Tensor]


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """The root mean square difference of each image, averaged over images, so that a few outliers count little."""
    return float((a - b).flatten(1).square().mean(1).sqrt().mean())


def shortest(paths: Paths, steps: int) -> list[int]:
    """Find the steps + 1 levels, including both ends, with the least total error of first-order steps; returns indices.

    By dynamic programming (Chen et al. 2024, "GITS"), without further network calls.

    Raises:
        ValueError: more steps than there are intervals.
    """
    last = len(paths.levels) - 1
    if not 1 <= steps <= last:
        raise ValueError(f"steps must be between 1 and {last} for {last + 1} levels, not {steps}")
    error = [[math.inf] * (last + 1) for _ in range(last)]
    for i in range(last):
        for j in range(i + 1, last + 1):
            reached = ddim(paths.x[i], paths.x0[i], paths.levels[i], paths.levels[j])
            error[i][j] = distance(reached, paths.x[j])
    # cost[j]: of the best path from 0 to j in k steps; before[k][j]: its previous level
    cost = [0.0] + [math.inf] * last
    before: list[list[int]] = []
    for _ in range(steps):
        ways = [min((cost[i] + error[i][j], i) for i in range(j)) for j in range(1, last + 1)]
        cost = [math.inf, *(total for total, _ in ways)]
        before.append([0, *(i for _, i in ways)])
    way = [last]
    for came_from in reversed(before):
        way.append(came_from[way[-1]])
    return way[::-1]

"""The shortest way along known paths."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ddpm.core import Level
from ddpm.sampling.exponential import first_order


@dataclass(frozen=True, slots=True, eq=False)
class Paths:
    """Solutions at many levels.

    Attributes:
        levels: noisiest first, the last clean.
        x: (B, C, *space) at each of them.
        x0: what the denoiser expected at each noisy one.
    """

    levels: Sequence[Level]
    x: Sequence[torch.Tensor]
    x0: Sequence[torch.Tensor]


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """Root mean square of each image's difference, averaged over the images: few that went elsewhere weigh little."""
    return float((a - b).flatten(1).square().mean(1).sqrt().mean())


def shortest(paths: Paths, steps: int) -> list[int]:
    """The indices of steps + 1 levels, both ends among them, between which first-order steps err the least in sum.

    By dynamic programming (Chen et al. 2024, "GITS"); it takes no network call that the paths have not made.

    Raises:
        ValueError: more steps than there are intervals.
    """
    last = len(paths.levels) - 1
    if not 1 <= steps <= last:
        raise ValueError(f"between 1 and {last} steps lead along {last + 1} levels, not {steps}")
    error = [[math.inf] * (last + 1) for _ in range(last)]
    for i in range(last):
        for j in range(i + 1, last + 1):
            reached = first_order(paths.x[i], paths.x0[i], paths.levels[i], paths.levels[j])
            error[i][j] = distance(reached, paths.x[j])
    # cost[j]: of the best way from 0 to j in so many steps; before[k][j]: where it came from
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

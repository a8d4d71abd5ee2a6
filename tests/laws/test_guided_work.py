"""Guidance within an interval costs its second answer there, level by level, and nowhere else."""

from functools import partial

import torch
from torch import nn

from cases import cases
from ddpm import build
from ddpm.config.sampling import SamplingConfig
from ddpm.core import Cond, Parameterisation, prediction
from ddpm.core.discrete import linear
from ddpm.core.model import Model
from ddpm.core.schedule import level_of
from ddpm.sampling import sample
from ddpm.sampling.grid import trailing

from .every import SOLVERS

SCHEDULE = linear(60)
BATCH, LOW, HIGH = 3, 0.2, 5.0
HOW = SamplingConfig.of(guidance=2.0, guidance_interval=(LOW, HIGH))


class Counting(nn.Module):
    """A network that keeps the levels and the numbers of rows that it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[float, int]] = []

    def forward(self, x: torch.Tensor, t: torch.Tensor, cond: Cond | None = None) -> torch.Tensor:
        self.asked.append((float(t[0]), len(x)))
        return (2 * x).tanh()


def within(t: float) -> bool:
    """Whether a network that is told t is guided."""
    level = SCHEDULE.level(min(t + 1, SCHEDULE.T))
    return LOW <= level.sigma / level.alpha <= HIGH


def asked(solver: str, *, weak: Model | None) -> tuple[list[tuple[float, int]], list[tuple[float, int]]]:
    """What a network was asked, and the weak one that it may be guided by."""
    model, generator = Model(Counting()), torch.Generator().manual_seed(0)
    away = None if weak else Cond(torch.zeros(1, 1))
    denoise = build.build_clipped(HOW, build.build_guided(HOW, model, Parameterisation(prediction.v), away, weak))
    made = build.SOLVERS[solver](partial(level_of, SCHEDULE))
    grid, cond = trailing(SCHEDULE, 12), Cond(torch.ones(BATCH, 1))
    sample(denoise, made, grid, lambda: torch.randn(BATCH, 1, 2, 2, generator=generator), cond)
    return model.net.asked, weak.net.asked if weak else []


@cases("solver", [name for name in SOLVERS if name in build.SOLVERS])
def test_without_labels_twice_the_rows_within_and_once_outside(solver):
    rows, _ = asked(solver, weak=None)
    assert {within(t) for t, _ in rows} == {True, False}
    assert rows == [(t, 2 * BATCH if within(t) else BATCH) for t, _ in rows]


@cases("solver", [name for name in SOLVERS if name in build.SOLVERS])
def test_a_worse_model_is_asked_within_and_never_outside(solver):
    good, weak = asked(solver, weak=Model(Counting()))
    assert all(rows == BATCH for _, rows in good)
    assert 0 < len(weak) < len(good)
    assert weak == [(t, rows) for t, rows in good if within(t)]

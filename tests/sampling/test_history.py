"""What a step of a multistep method may use of those before it."""

import math
from itertools import pairwise

import pytest
import torch

from ddpm.core import Level
from ddpm.core.discrete import linear, zero_terminal_snr
from ddpm.sampling.grid import trailing
from ddpm.sampling.history import History


def walk(grid: list[Level], order: int, history: History | None = None) -> list[list[int]]:
    """The steps whose points each step uses, the newest first."""
    history, used = history or History.before(grid, order), []
    for i in range(len(grid) - 1):
        history = history.add(grid[i], grid[i + 1], torch.tensor(i))
        used.append([int(value) for value in history.values])
        assert [p.level for p in history.points] == [grid[k] for k in used[-1]]
    return used


def test_fewer_at_first_and_fewer_before_the_clean_level():
    assert walk(trailing(linear(), 6), 3) == [[0], [1, 0], [2, 1, 0], [3, 2, 1], [4, 3], [5]]
    assert walk(trailing(linear(), 2), 3) == [[0], [1]]
    assert walk(trailing(linear(), 3), 1) == [[0], [1], [2]]


def test_as_many_to_an_end_that_is_not_clean_or_if_the_order_shall_not_fall():
    grid = trailing(linear(), 4)
    assert walk(grid[:-1], 3) == [[0], [1, 0], [2, 1, 0]]
    assert walk(grid, 3, History(3)) == [[0], [1, 0], [2, 1, 0], [3, 2, 1]]


def test_a_level_without_signal_serves_its_own_step_alone():
    assert walk(trailing(zero_terminal_snr(linear()), 5), 3) == [[0], [1], [2, 1], [3, 2], [4]]


def test_another_level_than_the_last_step_led_to_begins_anew():
    grid = trailing(linear(), 8)
    history = History.before(grid, 3)
    for i in (0, 1, 2):
        history = history.add(grid[i], grid[i + 1], torch.tensor(i))
    assert len(history.at(grid[3]).points) == 3
    assert history.at(grid[2]).points == ()
    again = history.add(grid[2], grid[3], torch.tensor(7))
    assert [int(value) for value in again.values] == [7]
    assert len(again.add(grid[3], grid[4], torch.tensor(8)).points) == 2


def test_nodes_are_half_log_snr_from_the_newest():
    levels = [Level(0.0, 1.0, sigma) for sigma in (8.0, 2.0, 1.0, 0.5)]
    history = History(3)
    for now, next in pairwise(levels):
        history = history.add(now, next, torch.zeros(1))
    assert history.nodes == pytest.approx([0, -math.log(2), -math.log(8)])

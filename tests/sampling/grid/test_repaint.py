"""Grids that rise again."""

import pytest

from cases import cases
from ddpm.core import Level
from ddpm.core.discrete import linear
from ddpm.sampling import DDIM, descents, evaluations
from ddpm.sampling.grid import repaint, uniform


def timesteps(n: int, jump: int, times: int) -> list[int]:
    """By their timesteps counted from the clean level."""
    levels = [Level(float(k), 1.0, float(k)) for k in range(n, -1, -1)]
    return [int(level.t) for level in repaint(levels, jump, times)]


def lugmayr(n: int, jump: int, times: int) -> list[int]:
    """``get_schedule_jump`` of the original, there from n - 1 to -1, its single rises one after the other."""
    jumps = dict.fromkeys(range(0, n - jump, jump), times - 1)
    t, visited = n, []
    while t >= 1:
        t -= 1
        visited.append(t)
        if jumps.get(t, 0) > 0:
            jumps[t] -= 1
            for _ in range(jump):
                t += 1
                visited.append(t)
    return [*(t + 1 for t in visited), 0]


def without_the_way_up(visited: list[int]) -> list[int]:
    kept = [b for a, b, c in zip(visited, visited[1:], visited[2:], strict=False) if not a < b < c]
    return [visited[0], *kept, visited[-1]]


@cases(("n", "jump", "times"), [(250, 10, 10), (20, 3, 4), (20, 1, 2), (7, 6, 3), (5, 2, 1)])
def test_it_is_the_originals(n, jump, times):
    assert timesteps(n, jump, times) == without_the_way_up(lugmayr(n, jump, times))


def test_a_small_one():
    assert timesteps(5, 2, 2) == [5, 4, 3, 5, 4, 3, 2, 1, 3, 2, 1, 0]


@cases(("n", "jump", "times"), [(250, 10, 10), (20, 3, 4), (20, 1, 2), (5, 2, 1)])
def test_how_often_the_denoiser_is_asked(n, jump, times):
    grid = repaint(uniform(linear(), n), jump, times)
    rises = (n - 1) // jump * (times - 1)
    assert evaluations(DDIM(), grid) == n + rises * jump == len(grid) - 1 - rises
    assert len(descents(grid)) == 1 + rises


@cases(("jump", "times", "says"), [(0, 2, "between 1 and 4"), (5, 2, "not 5"), (1, 0, "at least 1")])
def test_what_is_refused(jump, times, says):
    with pytest.raises(ValueError, match=says):
        timesteps(5, jump, times)

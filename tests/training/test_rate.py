from dataclasses import replace
from itertools import pairwise

import pytest

from ddpm.config.training import TrainSettings
from ddpm.training.rate import learning_rate

S = TrainSettings(images=100_000, batch=100, learning_rate=3e-4, warmup=10_000, decay=0.5)


def test_up_flat_down() -> None:
    rates = [learning_rate(S, i) for i in range(S.steps)]
    assert rates[0] == pytest.approx(3e-4 * 50 / 10_000)  # the middle of the first step's images
    up, flat, down = rates[:100], rates[100:500], rates[500:]
    assert all(b - a == pytest.approx(3e-6) for a, b in pairwise(up))
    assert set(flat) == {3e-4}
    assert all(a > b for a, b in pairwise(down))
    assert rates[750] == pytest.approx(1.5e-4, rel=0.01)  # half-way down half a cosine
    assert 0 < rates[-1] < 1e-5 * 3e-4 * 1.1  # (π / 2 · 1 / 1000)²


def test_no_jumps() -> None:
    rates = [learning_rate(S, i) for i in range(S.steps)]
    assert max(abs(a - b) for a, b in pairwise(rates)) <= 3e-6 * (1 + 1e-9)


def test_without_warmup_and_decay_it_is_constant() -> None:
    s = replace(S, warmup=0, decay=0.0)
    assert {learning_rate(s, i) for i in range(s.steps)} == {3e-4}


def test_a_decay_over_the_whole_run() -> None:
    s = replace(S, warmup=0, decay=1.0)
    rates = [learning_rate(s, i) for i in range(s.steps)]
    assert all(a > b for a, b in pairwise(rates))
    assert rates[500] == pytest.approx(1.5e-4, rel=0.01)


def test_it_depends_on_images_alone() -> None:
    """Another batch reads the same curve at other timesteps: where the middles of two steps meet, the rates do."""
    for batch in [50, 200, 400]:
        other = replace(S, batch=batch)
        for step in range(0, 1000, 7):
            middle = (step + 0.5) * S.batch
            timestep = middle / batch - 0.5
            low = int(timestep // 1)
            if low < 0 or low + 1 >= other.steps:
                continue
            between = learning_rate(other, low) + (timestep - low) * (
                learning_rate(other, low + 1) - learning_rate(other, low)
            )
            assert between == pytest.approx(learning_rate(S, step), abs=3e-6 * batch / 100)


def test_it_does_not_depend_on_the_micro_batch() -> None:
    for micro_batch in [1, 7, 100]:
        s = replace(S, micro_batch=micro_batch, workers=4)
        assert [learning_rate(s, i) for i in range(s.steps)] == [learning_rate(S, i) for i in range(S.steps)]

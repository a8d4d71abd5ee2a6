import numpy as np
import pytest
import torch
from tests.tiny import loaded

from ddpm.config.upscaling import UpscalingConfig
from ddpm.engine.options import settings
from ddpm.sampling import rows_of
from ddpm.tasks.enlarging import Enlarging, enlarge_all, mirrored, parts


def test_a_noisy_condition_is_not_held_to_unless_asked() -> None:
    config = UpscalingConfig()
    assert Enlarging.settle(config, None, None) == Enlarging(0.0, True)
    assert Enlarging.settle(config, 0.1, None) == Enlarging(0.1, False)
    assert Enlarging.settle(config, 0.1, True) == Enlarging(0.1, True)
    assert Enlarging.settle(config, 0.0, False) == Enlarging(0.0, False)


@pytest.mark.parametrize("augment", [0.0, 0.2])
def test_black_and_white_boxes_are_met_too(augment: float) -> None:
    """What is clipped at one pixel of a box is made up for by the others; clipped once at the end, some are 40 off."""
    run, rng = loaded("RGB", scale=2), np.random.default_rng(0)
    smalls = [rng.choice(np.array([0, 3, 120, 252, 255], np.uint8), (4, 4, 3)) for _ in range(16)]
    how = settings(run, {"steps": 20})
    drawn = [large for _, large in enlarge_all(run, how, Enlarging(augment, True), smalls, rows_of(0, range(16)))]
    # (N, h, 2, w, 2, C)
    means = np.stack(drawn).astype(float).reshape(16, 4, 2, 4, 2, 3).mean((2, 4))
    off = np.abs(means - np.stack(smalls))
    assert off.max() <= 1
    assert off.mean() <= 0.25


@pytest.mark.parametrize("divisor", [1, 2, 4, 8])
def test_mirrored_to_sides_that_divide(divisor: int) -> None:
    for side in [1, 2, 3, 5]:
        x = torch.arange(2.0 * side * 4).reshape(1, 2, side, 4)
        out = mirrored(x, divisor)
        more = -side % divisor
        assert out.shape == (1, 2, side + more, 4 + -4 % divisor)
        assert torch.equal(out[:, :, :side, :4], x)
        for i in range(more):
            assert torch.equal(out[:, :, side + i, :4], x[:, :, max(0, side - 2 - i)])


def test_pictures_of_one_size_are_drawn_together() -> None:
    shapes = [(4, 4, 1), (9, 6, 1), (4, 4, 1), (2, 2, 1), (4, 4, 1), (9, 6, 1)]
    smalls = [np.zeros(shape, np.uint8) for shape in shapes]
    assert parts(loaded("L", scale=2), smalls, 2) == [[0, 2], [4], [1], [5], [3]]

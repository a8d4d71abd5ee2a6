"""Dynamic thresholding: clipping where little is beyond the range, and else a smaller image."""

import numpy as np
import pytest
import torch

from ddpm.core import Cond, Denoised, Level
from ddpm.guidance import Clipped, Thresholded
from ddpm.guidance.thresholding import quantile

LEVEL = Level(5.0, 0.8, 0.6)
X = torch.randn(3, 2, 9, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
SIZES = torch.tensor([0.1, 1.0, 3.0], dtype=torch.float64).reshape(3, 1, 1, 1)


def same(x, level, cond=None):
    return Denoised(x)


def test_the_quantile_is_numpys():
    for q in [0.003, 0.5, 0.9, 0.995, 1.0]:
        for n in [1, 2, 101, 1000]:
            values = torch.randn(4, n, dtype=torch.float64, generator=torch.Generator().manual_seed(n))
            wanted = torch.from_numpy(np.quantile(values.numpy(), q, axis=1))
            torch.testing.assert_close(quantile(values, q), wanted, rtol=0, atol=1e-14)


def test_each_image_by_its_own_quantile():
    for q in [0.5, 0.9, 1.0]:
        out = Thresholded(same, q)(SIZES * X, LEVEL).x0
        for image, made in zip((SIZES * X).numpy(), out.numpy(), strict=True):
            s = max(1.0, np.quantile(np.abs(image), q))
            np.testing.assert_allclose(made, np.clip(image, -s, s) / s, rtol=0, atol=1e-14)
        assert out.abs().amax(dim=(1, 2, 3)).tolist() == [pytest.approx((0.1 * X[0]).abs().max().item()), 1.0, 1.0]


def test_where_few_are_beyond_the_range_it_is_clipping():
    x = 0.4 * X
    assert (x.abs() > 1).any()
    assert torch.equal(Thresholded(same, 0.9)(x, LEVEL).x0, Clipped(same)(x, LEVEL).x0)


def test_where_many_are_beyond_the_range_they_stay_apart():
    """The order of all but the largest stays as it is, where clipping makes a third alike."""
    x = torch.linspace(-3, 3, 601, dtype=torch.float64).reshape(1, 1, 601)
    clipped, made = Clipped(same)(x, LEVEL).x0, Thresholded(same, 0.99)(x, LEVEL).x0
    assert len(clipped.unique()) == 201
    assert len(made.unique()) == 595
    assert (made.diff() >= 0).all()


def test_what_it_is_asked_and_what_it_leaves_alone():
    mix, told = torch.rand(3, 2, 9, 7), Cond(torch.zeros(3, 1))

    def denoise(x, level, cond=None):
        assert (level, cond) == (LEVEL, told)
        return Denoised(x, mix)

    assert Thresholded(denoise)(X, LEVEL, told).var_mix is mix

"""Clipping x0, and with it the noise that a solver derives from x0."""

import torch

from cases import cases
from ddpm.core import Cond, Denoised, Level
from ddpm.core.discrete import linear
from ddpm.core.gaussian import diffuse
from ddpm.guidance import Clipped
from ddpm.sampling import DDIM

LEVEL = Level(5.0, 0.8, 0.6)


@cases("bound", [1.0, 0.25])
@cases("space", [(5,), (4, 3), (2, 3, 4)])
def test_within_the_bound_and_else_untouched(space, bound):
    x, mix, told = torch.randn(2, 3, *space), torch.rand(2, 3, *space), Cond(torch.zeros(2, 1))

    def denoise(x, level, cond=None):
        assert level == LEVEL
        assert cond is told
        return Denoised(2 * x, mix)

    out = Clipped(denoise, bound)(x, LEVEL, told)
    torch.testing.assert_close(out.x0, torch.where((2 * x).abs() > bound, bound * x.sign(), 2 * x), rtol=0, atol=0)
    assert (out.x0.abs() == bound).any()
    assert (out.x0.abs() < bound).any()
    assert out.var_mix is mix


def test_images_are_within_1():
    def denoise(x, level, cond=None):
        return Denoised(x)

    assert Clipped(denoise)(torch.tensor([[[-3.0, 0.5, 3.0]]]), LEVEL).x0.tolist() == [[[-1, 0.5, 1]]]


@cases("pair", [(1000, 500), (500, 480), (21, 1)])
def test_the_clipped_image_and_its_noise_agree_in_ddim(pair):
    """After a deterministic step x is at the new level of the clipped x0 with the noise that x and it leave."""
    now, next = (linear().level(i) for i in pair)
    x = torch.randn(2, 1, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def denoise(x, level, cond=None):
        return Denoised(3 * x)

    result, _ = DDIM().step(Clipped(denoise), x, now, next, None, lambda: x)
    x0 = (3 * x).clamp(-1, 1)
    assert (x0.abs() == 1).any()
    eps = (x - now.alpha * x0) / now.sigma
    torch.testing.assert_close(diffuse(x0, eps, now), x, rtol=0, atol=1e-12)
    torch.testing.assert_close(result, diffuse(x0, eps, next), rtol=0, atol=1e-11)

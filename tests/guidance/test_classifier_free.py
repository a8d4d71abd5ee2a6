"""Classifier-free guidance: a line through two answers of one call."""

import pytest
import torch

from cases import cases
from ddpm.core import Cond, Denoised, Level
from ddpm.core.discrete import cosine
from ddpm.guidance import ClassifierFree, Clipped
from ddpm.sampling import DDIM, Ancestral, SampleNoise, fixed_large, rows_of, sample
from ddpm.sampling.grid import trailing

LEVEL = Level(5.0, 0.8, 0.6)
NULL = Cond(torch.tensor([[0.0, -1.0]], dtype=torch.float64))


class Towards:
    """A denoiser that answers x / 2 plus its condition's first number, and keeps what it was asked.

    Its mix of variances is the second.
    """

    def __init__(self, learned=False):
        self.calls, self.learned = [], learned

    def __call__(self, x, level, cond=None):
        self.calls.append((x, level, cond))
        each = cond.vector.reshape(len(x), 2, *[1] * (x.ndim - 2))
        return Denoised(x / 2 + each[:, :1], each[:, 1:].expand_as(x) if self.learned else None)


def ask(scale, space=(4, 3), **options):
    denoise = Towards(**options)
    x = torch.randn(3, 2, *space, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    cond = Cond(torch.tensor([[1.0, 0.1], [2.0, 0.2], [3.0, 0.3]], dtype=torch.float64))
    return ClassifierFree(denoise, NULL, scale)(x, LEVEL, cond), x, cond, denoise


def test_images_may_each_have_their_own_scale():
    scales = torch.tensor([0.5, 1.0, 3.0])
    each, *_ = ask(scales)
    for row, scale in enumerate(scales.tolist()):
        assert torch.equal(each.x0[row], ask(scale)[0].x0[row])


def test_linear_in_the_scale():
    """0 is the null condition's answer, 1 the condition's, and everything else is on the line through both."""
    for space in [(5,), (4, 3), (2, 3, 4)]:
        for scale in [0.0, 0.5, 1.0, 3.0, 7.5]:
            out, x, cond, _ = ask(scale, space)
            alone, null = x / 2 + cond.vector[:, 0].reshape(3, *[1] * (x.ndim - 1)), x / 2
            torch.testing.assert_close(out.x0, (1 - scale) * null + scale * alone, rtol=0, atol=1e-12)


def test_one_call_of_twice_the_images():
    _, x, cond, denoise = ask(3.0)
    [(images, level, conds)] = denoise.calls
    assert torch.equal(images, torch.cat([x, x]))
    assert level == LEVEL
    assert torch.equal(conds.vector, torch.cat([cond.vector, NULL.vector.expand(3, -1)]))


def test_the_learned_variance_is_the_conditions():
    out, x, cond, _ = ask(3.0, learned=True)
    assert torch.equal(out.var_mix, cond.vector[:, 1].reshape(3, 1, 1, 1).expand_as(x))
    assert ask(3.0)[0].var_mix is None


def test_nothing_to_guide_towards():
    with pytest.raises(ValueError, match="needs a condition"):
        ClassifierFree(Towards(), NULL, 3.0)(torch.zeros(1, 1, 2), LEVEL)


def test_the_difference_counts_and_not_its_opposite():
    """The guided answer goes beyond the condition's, away from the null one."""
    low, high = ask(1.0)[0].x0, ask(2.0)[0].x0
    assert (high > low).all()


@cases("solver", [DDIM(), DDIM(0.5), Ancestral(), Ancestral(fixed_large)])
def test_composes_with_clipping_and_every_solver(solver):
    """Clipped outside of guidance: what overshoots is held, in every solver; and order matters."""
    cond = Cond(torch.tensor([[0.8, 0.0], [-0.1, 0.0]], dtype=torch.float64))

    def draw(denoise):
        noise = SampleNoise(rows_of(0, [0, 1]), (2, 4))
        return sample(denoise, solver, trailing(cosine(), 20), lambda: noise().double(), cond)

    guided = ClassifierFree(Towards(), NULL, 4.0)
    assert draw(guided).max() > 1
    held = draw(Clipped(guided))
    assert held.abs().max() == 1
    assert held[1].max() < 1
    assert draw(ClassifierFree(Clipped(Towards()), NULL, 4.0)).max() > 1

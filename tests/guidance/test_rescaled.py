"""Rescaled guidance: the contrast of the conditional image, and otherwise the guided one."""

import pytest
import torch

from ddpm.guidance import Rescaled, extrapolate


def two(space=(4, 3)) -> tuple[torch.Tensor, torch.Tensor]:
    """Two answers for three images of different means and contrasts, (3, 2, *space) each."""
    generator = torch.Generator().manual_seed(0)
    x0, weak = torch.randn(2, 3, 2, *space, dtype=torch.float64, generator=generator)
    spread = torch.tensor([0.1, 1.0, 5.0], dtype=torch.float64).reshape(3, *[1] * (x0.ndim - 1))
    return spread * x0 + 0.3, weak


def stds(x: torch.Tensor) -> list[float]:
    """By hand, image by image."""
    return [((image - image.mean()) ** 2).mean().sqrt().item() for image in x]


def test_wholly_rescaled_each_image_has_the_contrast_of_the_conditional_one():
    for space in [(5,), (4, 3), (2, 3, 4)]:
        for scale in [0.0, 2.0, 7.5]:
            x0, weak = two(space)
            out = Rescaled(1.0)(x0, weak, scale)
            assert stds(out) == pytest.approx(stds(x0), rel=1e-12)
            assert stds(extrapolate(x0, weak, scale)) != pytest.approx(stds(x0), rel=0.01)


def test_not_rescaled_at_all_nothing_changes():
    x0, weak = two()
    assert torch.equal(Rescaled(0.0)(x0, weak, 3.0), extrapolate(x0, weak, 3.0))


def test_between_the_two_it_is_a_straight_line():
    x0, weak = two()
    none, whole = Rescaled(0.0)(x0, weak, 3.0), Rescaled(1.0)(x0, weak, 3.0)
    torch.testing.assert_close(Rescaled(0.7)(x0, weak, 3.0), 0.3 * none + 0.7 * whole, rtol=0, atol=1e-12)


def test_it_is_the_guided_image_but_for_a_factor():
    x0, weak = two()
    ratio = Rescaled(0.7)(x0, weak, 3.0) / extrapolate(x0, weak, 3.0)
    each = ratio.flatten(1)
    torch.testing.assert_close(each, each[:, :1].expand_as(each), rtol=1e-9, atol=0)
    assert (each.std(0) > 0.01).all()


def test_at_scale_1_nothing_is_rescaled():
    x0, weak = two()
    torch.testing.assert_close(Rescaled(1.0)(x0, weak, 1.0), x0, rtol=0, atol=1e-12)


def test_an_image_of_one_colour_stays_it():
    flat = torch.full((1, 1, 2, 2), 0.25)
    assert torch.equal(Rescaled(1.0)(flat, torch.zeros_like(flat), 2.0), 2 * flat)

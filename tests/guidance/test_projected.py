"""Projected guidance: what it leaves out is along the image, and with nothing left out it is classifier-free."""

import math

import torch

from ddpm.core import Cond, Denoised, Level
from ddpm.guidance import ClassifierFree, Projected, extrapolate


def two(space=(4, 3)) -> tuple[torch.Tensor, torch.Tensor]:
    """Two answers for three images of different sizes, (3, 2, *space) each."""
    generator = torch.Generator().manual_seed(0)
    x0, weak = torch.randn(2, 3, 2, *space, dtype=torch.float64, generator=generator)
    spread = torch.tensor([0.1, 1.0, 5.0], dtype=torch.float64).reshape(3, *[1] * (x0.ndim - 1))
    return spread * x0 + 0.3, weak


def dots(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Image by image, (B,)."""
    return torch.stack([(one * other).sum() for one, other in zip(a, b, strict=True)])


def test_with_nothing_left_out_it_is_classifier_free_guidance():
    for space in [(5,), (4, 3), (2, 3, 4)]:
        for scale in [0.0, 1.0, 7.5]:
            x0, weak = two(space)
            torch.testing.assert_close(
                Projected(1.0, math.inf)(x0, weak, scale), extrapolate(x0, weak, scale), rtol=0, atol=1e-13
            )


def test_without_the_part_along_it_the_change_is_orthogonal_to_the_image():
    for space in [(5,), (4, 3), (2, 3, 4)]:
        for longest in [0.5, math.inf]:
            x0, weak = two(space)
            change = Projected(0.0, longest)(x0, weak, 7.5) - x0
            assert (change.flatten(1).norm(dim=1) > 0.1).all()
            assert dots(change, x0).abs().max() < 1e-12
            assert (dots(extrapolate(x0, weak, 7.5) - x0, x0).abs() > 0.1).all()


def test_of_the_part_along_it_a_share_is_kept():
    """Linear in eta; the difference between its ends is a multiple of the image."""
    x0, weak = two()
    none, half, whole = (Projected(eta)(x0, weak, 3.0) for eta in (0.0, 0.5, 1.0))
    torch.testing.assert_close(half, (none + whole) / 2, rtol=0, atol=1e-12)
    share = dots(x0 - weak, x0) / dots(x0, x0)
    torch.testing.assert_close(whole - none, 2 * share.reshape(3, 1, 1, 1) * x0, rtol=0, atol=1e-12)


def test_the_difference_is_shortened_where_it_is_longer():
    """And then, at any eta of 1, the image moves by (scale - 1) times the bound, in the same direction."""
    x0, weak = two()
    lengths = (x0 - weak).flatten(1).norm(dim=1)
    longest = lengths.sort().values[1].item() + 1e-6
    change = Projected(1.0, longest)(x0, weak, 3.0) - x0
    torch.testing.assert_close(change.flatten(1).norm(dim=1), 2 * lengths.clamp(max=longest), rtol=1e-12, atol=0)
    cosine = dots(change, x0 - weak) / (change.flatten(1).norm(dim=1) * lengths)
    torch.testing.assert_close(cosine, torch.ones(3, dtype=torch.float64), rtol=0, atol=1e-12)
    assert (lengths > longest).sum() == 1


def test_where_there_is_no_difference_or_no_image():
    for longest in [0.5, math.inf]:
        x0, weak = two()
        torch.testing.assert_close(Projected(0.0, longest)(x0, x0, 3.0), x0, rtol=0, atol=0)
        black = torch.zeros_like(x0)
        out = Projected(0.0, longest)(black, weak, 3.0)
        torch.testing.assert_close(out, Projected(1.0, longest)(black, weak, 3.0), rtol=0, atol=0)
        assert torch.isfinite(out).all()


def test_in_place_of_the_usual_rule():
    def denoise(x, level, cond=None):
        return Denoised(x * cond.vector.reshape(-1, 1, 1))

    null, cond = Cond(torch.tensor([[-1.0]])), Cond(torch.tensor([[0.5], [2.0]]))
    x = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    made = ClassifierFree(denoise, null, 3.0, Projected())(x, Level(0.0, 0.8, 0.6), cond).x0
    # both answers are multiples of x, so that all of their difference is along the image
    torch.testing.assert_close(made, x * torch.tensor([0.5, 2.0]).reshape(2, 1, 1), rtol=0, atol=1e-5)

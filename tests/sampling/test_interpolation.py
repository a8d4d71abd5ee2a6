"""Between two noises on a great circle."""

import math

import pytest
import torch

from cases import cases
from ddpm.sampling.interpolation import slerp


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


A, B = normal(3, 2, 4, 5, seed=0), normal(3, 2, 4, 5, seed=1)


def angles(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.acos(torch.cosine_similarity(a.flatten(1).double(), b.flatten(1).double()))


def test_the_ends_are_exact():
    assert torch.equal(slerp(A, B, 0.0), A)
    assert torch.equal(slerp(A, B, 1.0), B)
    mixed = slerp(A, B, torch.tensor([0.0, 1.0, 0.0]))
    assert torch.equal(mixed, torch.stack([A[0], B[1], A[2]]))


def test_equal_lengths_are_kept_and_the_speed_is_constant():
    for share in [0.1, 0.5, 0.8]:
        b = B * (A.flatten(1).norm(dim=1) / B.flatten(1).norm(dim=1))[:, None, None, None]
        between = slerp(A, b, share)
        torch.testing.assert_close(between.flatten(1).norm(dim=1), A.flatten(1).norm(dim=1), rtol=1e-6, atol=0)
        torch.testing.assert_close(angles(A, between), share * angles(A, b), rtol=0, atol=1e-6)
        torch.testing.assert_close(angles(between, b), (1 - share) * angles(A, b), rtol=0, atol=1e-6)


def test_a_quarter_circle_by_hand():
    a, b = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[0.0, 1.0]]])
    third = torch.tensor([[[math.cos(math.pi / 6), math.sin(math.pi / 6)]]])
    torch.testing.assert_close(slerp(a, b, 1 / 3), third)


def test_each_image_by_itself():
    shares = torch.tensor([0.2, 0.5, 0.9])
    together = slerp(A, B, shares)
    for i, share in enumerate(shares.tolist()):
        torch.testing.assert_close(together[i : i + 1], slerp(A[i : i + 1], B[i : i + 1], share), rtol=0, atol=1e-6)


@cases("b", [A, 2 * A, -A, A * (1 + 1e-7)])
def test_a_line_where_there_is_no_arc(b):
    torch.testing.assert_close(slerp(A, b, 0.25), 0.75 * A + 0.25 * b, rtol=0, atol=1e-6)


def test_small_angles_keep_their_digits():
    """At an angle of 1e-6 float32 cosines are 1."""
    a = torch.tensor([[[1.0, 0.0]]], dtype=torch.float64)
    b = torch.tensor([[[math.cos(1e-6), math.sin(1e-6)]]], dtype=torch.float64)
    assert float(slerp(a, b, 0.25)[0, 0, 1]) == pytest.approx(0.25e-6, rel=1e-9)

"""What holds for every operator, on images of any shape."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cases import cases
from ddpm.constraints import AveragePool, Blur, Composed, Grey, Mask

from .observed import OPERATORS, SHAPE, matrices

seeds = st.integers(0, 2**31)


@st.composite
def observations(draw):
    """An operator and the shape (C, *space) of images that it takes, of one to three spatial axes."""
    channels, factor = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    small = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3).filter(lambda s: torch.Size(s).numel() <= 12))
    large = [factor * n for n in small]
    generator = torch.Generator().manual_seed(draw(seeds))

    def mask(channels, space):
        return Mask(torch.rand(1, channels, *space, generator=generator) < 0.6)

    weights = torch.rand(channels, generator=generator, dtype=torch.float64) + 0.1
    grey, pool = Grey(tuple((weights / weights.sum()).tolist())), AveragePool(factor)
    blur = Blur(draw(st.floats(0.2, 4.0)))
    return draw(
        st.sampled_from(
            [
                (mask(channels, small), (channels, *small)),
                (mask(1, small), (channels, *small)),
                (pool, (channels, *large)),
                (grey, (channels, *small)),
                (blur, (channels, *small)),
                (Composed(mask(1, small), pool), (channels, *large)),
                (Composed(blur, pool), (channels, *large)),
                (Composed(blur, grey), (channels, *small)),
                (Composed(Composed(mask(1, small), pool), grey), (channels, *large)),
            ]
        )
    )


@settings(max_examples=150)
@given(observations())
def test_the_four_identities_of_moore_and_penrose(observation):
    operator, shape = observation
    a, p = matrices(operator, shape)
    for left, right in ((a @ p @ a, a), (p @ a @ p, p), ((p @ a).mT, p @ a), ((a @ p).mT, a @ p)):
        torch.testing.assert_close(left, right, rtol=1e-10, atol=1e-10)


@settings(max_examples=150)
@given(observations(), st.floats(1e-3, 1e3))
def test_a_ridge_is_tikhonovs(observation, ridge):
    operator, shape = observation
    a, p = matrices(operator, shape, ridge)
    expected = a.mT @ torch.linalg.inv(a @ a.mT + ridge * torch.eye(len(a), dtype=a.dtype))
    torch.testing.assert_close(p, expected, rtol=1e-9, atol=1e-10)


@cases("name", OPERATORS)
def test_the_dtype_stays(name):
    for dtype in [torch.float32, torch.float64, torch.bfloat16]:
        x = torch.ones(2, *SHAPE, dtype=dtype)
        y = OPERATORS[name].forward(x)
        assert y.dtype == OPERATORS[name].pinv(y).dtype == OPERATORS[name].pinv(y, 0.5).dtype == dtype
        assert OPERATORS[name].pinv(y).shape == x.shape


@cases("name", OPERATORS)
def test_images_of_a_batch_do_not_meet(name):
    x = torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(0))
    y = OPERATORS[name].forward(x)
    for i in range(3):
        torch.testing.assert_close(OPERATORS[name].forward(x[i : i + 1]), y[i : i + 1])
        torch.testing.assert_close(OPERATORS[name].pinv(y[i : i + 1]), OPERATORS[name].pinv(y)[i : i + 1])


def test_a_pooled_value_is_the_mean_of_its_box():
    for factor in [2, 3, 4]:
        x = torch.randn(2, 3, 4 * factor, 2 * factor, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        small = AveragePool(factor).forward(x)
        assert small.shape == (2, 3, 4, 2)
        for i in range(4):
            for j in range(2):
                box = x[:, :, i * factor : (i + 1) * factor, j * factor : (j + 1) * factor]
                torch.testing.assert_close(small[:, :, i, j], box.mean((2, 3)))


def test_every_image_may_have_a_mask_of_its_own():
    known = torch.tensor([[True, False], [False, True]])[:, None]
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])[:, None]
    assert Mask(known).forward(x).flatten(1).tolist() == [[1, 0], [0, 4]]


@cases(
    ("make", "says"),
    [
        (lambda: Mask(torch.ones(1, 1, 2)), "bool"),
        (lambda: AveragePool(0), "factor must be at least 1, not 0"),
        (lambda: AveragePool(3).forward(torch.zeros(1, 1, 6, 4)), r"size \(6, 4\) is not divisible by the factor 3"),
        (lambda: Grey((0.5, 0.4)), "add up to 1, not 0.9"),
        (lambda: Grey().forward(torch.zeros(1, 1, 2, 2)), "3 weights for 1 channels"),
        (lambda: Blur(0.0), "sigma must be above 0"),
        (lambda: Blur(1.0, 1.0), "least must be between 0 and 1"),
    ],
)
def test_what_is_refused(make, says):
    with pytest.raises(ValueError, match=says):
        make()

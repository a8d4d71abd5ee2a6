import math

import torch

from ddpm.conditioning import Pairs

PAIRS = Pairs(scale=4, s_max=0.5)


def test_constant_images_stay_what_they_are():
    for value in [-1.0, -0.25, 0.0, 1.0]:
        low = torch.full((1, 3, 5, 2), value, dtype=torch.float64)
        large = PAIRS.enlarge(low)
        assert large.shape == (1, 3, 20, 8)
        torch.testing.assert_close(large, torch.full_like(large, value), rtol=0, atol=1e-14)


def test_enlarging_keeps_straight_lines():
    """Bicubic interpolation reproduces polynomials of degree one, inside; small pixel i is centred on 4 i + 1.5."""
    low = torch.arange(12, dtype=torch.float64).expand(1, 1, 12, 12)
    line = (torch.arange(48, dtype=torch.float64) - 1.5) / 4
    torch.testing.assert_close(PAIRS.enlarge(low)[0, 0, 20, 8:-8], line[8:-8], rtol=0, atol=1e-12)


def test_the_noise_is_that_of_a_cosine_schedule():
    image, eps = torch.randn(3, 2, 4, 4), torch.randn(3, 2, 4, 4)
    s = torch.tensor([0.0, 1 / 3, 1.0])
    noisy = PAIRS.noised(image, s, eps)
    assert torch.equal(noisy.image[0], image[0])
    torch.testing.assert_close(noisy.image[1], math.sqrt(3) / 2 * image[1] + 0.5 * eps[1])
    torch.testing.assert_close(noisy.image[2], eps[2])
    assert torch.equal(noisy.s, s)


def test_plain_is_strength_zero():
    image = torch.randn(3, 2, 4, 4)
    plain, zero = PAIRS.plain(image), PAIRS.noised(image, torch.zeros(3), torch.randn(3, 2, 4, 4))
    assert torch.equal(plain.image, zero.image)
    assert torch.equal(plain.s, zero.s)

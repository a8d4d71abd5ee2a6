"""The operators are those that other libraries know by their names."""

import numpy
import pytest
import torch
from PIL import Image

from ddpm.constraints import AveragePool, Blur, Grey

IMAGE = torch.rand(2, 3, 12, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1


def test_pool_is_torchs():
    expected = torch.nn.functional.avg_pool2d(IMAGE, 4)
    torch.testing.assert_close(AveragePool(4).forward(IMAGE), expected, rtol=0, atol=1e-15)


def test_pool_goes_back_by_nearest_neighbours():
    small = AveragePool(4).forward(IMAGE)
    expected = torch.nn.functional.interpolate(small, scale_factor=4, mode="nearest")
    assert torch.equal(AveragePool(4).pinv(small), expected)


def test_grey_is_pillows_up_to_its_rounding():
    pixels = torch.randint(0, 256, (8, 9, 3), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    expected = numpy.asarray(Image.fromarray(pixels.numpy()).convert("L"))
    grey = Grey().forward(pixels.permute(2, 0, 1)[None].double())[0, 0]
    # Pillow's weights are multiples of 2⁻¹⁶, and it rounds
    assert (grey - torch.from_numpy(expected.copy())).abs().max() < 0.51


def test_blur_is_scipys_but_for_what_it_leaves_out():
    for sigma in [0.4, 1.0, 3.0, 8.0]:
        ndimage = pytest.importorskip("scipy.ndimage")
        expected = ndimage.gaussian_filter(IMAGE.numpy(), (0, 0, sigma, sigma), mode="reflect", truncate=8)
        torch.testing.assert_close(Blur(sigma, 1e-12).forward(IMAGE), torch.from_numpy(expected), rtol=0, atol=1e-11)
        off = (Blur(sigma).forward(IMAGE) - torch.from_numpy(expected)).flatten(2).norm(dim=2)
        assert (off <= 0.01 * IMAGE.flatten(2).norm(dim=2)).all()

import math

import pytest
import torch
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from ddpm.metrics.similarity import ROUNDING, decibels, mean_psnr, squared_error, ssim


def images(n: int = 3, channels: int = 3, height: int = 20, width: int = 14) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, channels, height, width), generator=generator).double()


def near(a: torch.Tensor, spread: float) -> torch.Tensor:
    return (
        (a + spread * torch.randn(a.shape, generator=torch.Generator().manual_seed(1)).double()).round().clamp(0, 255)
    )


def test_one_step_of_256_everywhere():
    a = images().clamp(max=254)
    torch.testing.assert_close(decibels(squared_error(a, a + 1)), torch.full((3,), 20 * math.log10(255)).double())
    assert mean_psnr(squared_error(a, a)) == pytest.approx(10 * math.log10(255**2 / ROUNDING))


@pytest.mark.parametrize("spread", [2.0, 30.0])
def test_agrees_with_torchmetrics(spread):
    """Its SSIM is of mirrored images, so only where the mirror is not seen is it the same."""
    for channels in [1, 3, 4]:
        a = images(channels=channels)
        b = near(a, spread)
        each = zip(a[:, None], b[:, None], strict=True)
        theirs = [(peak_signal_noise_ratio(x, y, (0.0, 255.0)), _theirs(x, y)) for x, y in each]
        peaks = torch.stack([p for p, _ in theirs]).double()
        torch.testing.assert_close(decibels(squared_error(a, b)), peaks, rtol=1e-6, atol=0)
        torch.testing.assert_close(ssim(a, b), torch.stack([s for _, s in theirs]).double(), rtol=0, atol=1e-9)


def _theirs(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    _, places = structural_similarity_index_measure(a, b, sigma=1.5, data_range=255.0, return_full_image=True)
    return places[..., 5:-5, 5:-5].mean()


def test_the_same_image_is_one_and_its_negative_below_zero():
    a = images()
    torch.testing.assert_close(ssim(a, a), torch.ones(3).double(), rtol=0, atol=1e-12)
    assert (ssim(a, 255 - a) < 0).all()


def test_smaller_than_the_window():
    with pytest.raises(ValueError, match=r"\(20, 10\) .*11 × 11"):
        ssim(images(width=10), images(width=10))

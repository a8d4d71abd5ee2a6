"""The numbers of enlarged images, by other ways to them."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from ddpm.evaluation import upscaling as enlarged
from ddpm.evaluation.upscaling import quality
from ddpm.metrics import frechet
from ddpm.metrics.memorisation import Thumbnail
from ddpm.metrics.similarity import mean_psnr, squared_error, ssim
from ddpm.records.upscaling import Fidelity

N, SIDE = 21, 12


@pytest.fixture
def images() -> tuple[Any, Any, Any]:
    """Made, large and small, of 12 × 12 and 6 × 6."""
    rng = np.random.default_rng(0)
    large = rng.integers(0, 256, (N, SIDE, SIDE, 3)).astype(np.uint8)
    made = (large + rng.normal(5, 20, large.shape)).clip(0, 255).astype(np.uint8)
    return made, large, large.reshape(N, 6, 2, 6, 2, 3).mean((2, 4)).round().astype(np.uint8)


def measured(made: Any, large: Any, low: Any) -> Fidelity:
    features = torch.randn(64, Thumbnail().dim, generator=torch.Generator().manual_seed(0))
    return quality(made, large, low, 2, Thumbnail(), frechet.fit(features))


def test_what_they_are(images: tuple[Any, Any, Any]) -> None:
    made, large, low = (values.astype(float) for values in images)
    found = measured(*images)
    a, b = (torch.from_numpy(values).movedim(-1, 1) for values in (made, large))
    assert found.psnr == pytest.approx(mean_psnr(squared_error(a, b)), rel=1e-12)
    assert found.ssim == pytest.approx(float(ssim(a, b).mean()), rel=1e-12)
    boxes = made.reshape(N, 6, 2, 6, 2, 3).mean((2, 4))
    assert found.consistency == pytest.approx(10 * math.log10(255**2 / np.mean((boxes - low) ** 2)), rel=1e-6)
    np.testing.assert_allclose(found.mean_difference, (made - large).mean((0, 1, 2)), rtol=1e-12)


def test_few_images_are_in_memory_at_a_time(images: tuple[Any, Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    whole, seen = measured(*images), list[int]()
    monkeypatch.setattr(enlarged, "VALUES", 4 * SIDE * SIDE * 3 + 1)
    monkeypatch.setattr(enlarged, "ssim", lambda a, b: seen.append(len(a)) or ssim(a, b))
    parts = measured(*images)
    assert seen == [4] * 5 + [1]
    for name in ("psnr", "ssim", "frechet", "consistency", "mean_difference"):
        assert getattr(parts, name) == pytest.approx(getattr(whole, name), rel=1e-12), name


def test_images_smaller_than_the_window_of_ssim(images: tuple[Any, Any, Any]) -> None:
    made, large, low = images
    found = measured(made[:, :8, :8], large[:, :8, :8], low[:, :4, :4])
    assert found.ssim is None
    assert found.psnr > 0

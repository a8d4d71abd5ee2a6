"""What averages over areas keep."""

import numpy as np
import torch

from ddpm.metrics import frechet
from ddpm.metrics.features.averages import Averages


def test_they_are_means_of_areas_whatever_the_details():
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 32, 64, 3), np.uint8))
    # (B, 16, 2, 16, 4, C) -> (B, C, 16, 16)
    areas = images.double().reshape(3, 16, 2, 16, 4, 3).mean((2, 4)).movedim(-1, 1)
    found = Averages()(images)
    torch.testing.assert_close(found.double(), areas.flatten(1) / 127.5 - 1, rtol=0, atol=1e-6)
    blurred = areas.repeat_interleave(2, 2).repeat_interleave(4, 3).movedim(1, -1).round().to(torch.uint8)
    torch.testing.assert_close(Averages()(blurred), found, rtol=0, atol=0.6 / 127.5)


def test_the_distance_of_a_shift_is_its_square():
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 200, (8, 16, 16, 1), np.uint8))
    found = frechet.distance(*(frechet.fit(Averages()(x)) for x in (images, images + 51)))
    assert abs(found - Averages.dim * 0.4**2) < 1e-3

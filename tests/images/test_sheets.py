"""What people see of small pictures."""

import numpy as np
import pytest
from PIL import Image

from ddpm.images.sheets import factor, sheet


@pytest.mark.parametrize("side", [1, 5, 8, 31, 32, 33, 63, 64, 500])
def test_the_factor_is_the_least_that_reaches_64(side: int) -> None:
    times = factor(side)
    assert side * times >= 64
    assert times == 1 or side * (times - 1) < 64


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_sheet_holds_each_image_enlarged_by_its_shorter_side(mode: str) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 20, len(mode)), np.uint8)
    page = sheet(images)
    assert (page.mode, page.size) == (mode, (2 * 160 + 2, 2 * 64 + 2))
    for i, image in enumerate(images):
        y, x = (i // 2) * 66, (i % 2) * 162
        shown = page.crop((x, y, x + 160, y + 64))
        assert shown.tobytes() == shown.resize((20, 8), Image.Resampling.NEAREST).resize((160, 64), 0).tobytes()
        np.testing.assert_array_equal(np.atleast_3d(np.asarray(shown))[::8, ::8], image)

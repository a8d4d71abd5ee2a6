import numpy as np
import pytest

from ddpm.images.prompted import prompted, rows_of
from ddpm.images.sheets import opaque, sheet


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("side", [8, 100])
def test_the_rows_come_back_without_their_prompts(channels: int, side: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, side, side, channels), np.uint8)
    page = prompted(images, ("a short one", "long " * 100, ""))
    assert page.mode == "RGB"
    rows = list(rows_of(page, 3))
    for row, own in zip(rows, (images[:2], images[2:4], images[4:]), strict=True):
        assert np.array_equal(np.asarray(row), np.asarray(opaque(sheet(own, 2))))


def test_prompts_are_written_next_to_their_rows_alone() -> None:
    images = np.zeros((4, 64, 64, 3), np.uint8)
    plain, one = (np.asarray(prompted(images, prompts)) for prompts in (("", ""), ("word", "")))
    rows, columns = np.nonzero((plain != one).any(-1))
    assert rows.max() < 64
    assert columns.max() < 220
    long = np.asarray(prompted(images, ("long words " * 100, "")))
    assert np.nonzero((plain != long).any(-1))[0].max() < 64

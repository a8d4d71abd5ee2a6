"""The pictures beside a score."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from ddpm.data.dataset import Dataset
from ddpm.evaluation.pictures import closest, first
from ddpm.metrics.estimate import Estimate
from ddpm.records.score import Copy, Memorisation

RED = (0xD0, 0x30, 0x30)


def images(n: int, size: tuple[int, int], channels: int, seed: int = 0) -> Dataset:
    return Dataset(np.random.default_rng(seed).integers(0, 256, (n, *size, channels), np.uint8))


def found(*pairs: tuple[int, int, bool]) -> Memorisation:
    rate = Estimate(value=0, low=0, high=0)
    listed = tuple(
        Copy(sample=str(i), training=str(j), distance=0.1, copied=copied, places=(i, j)) for i, j, copied in pairs
    )
    return Memorisation(
        source="x", images=9, copies=1, rate=rate, threshold=0.2, held_out=None, median=1, held_out_median=None,
        closest=listed,
    )  # fmt: skip


def opened(png: bytes) -> np.ndarray:
    with Image.open(BytesIO(png)) as image:
        assert image.format == "PNG"
        return np.asarray(image)


@pytest.mark.parametrize(("n", "rows"), [(3, 2), (64, 8), (70, 8)])
def test_the_first_on_a_sheet(n: int, rows: int) -> None:
    data = images(n, (6, 5), 3)
    page = opened(first(data))
    assert page.shape[0] == rows * (6 * 13 + 2) - 2  # 13 · 5 is the first to reach 64
    for i in range(min(n, 64)):
        y, x = (i // rows) * 80, (i % rows) * 67
        assert np.array_equal(page[y : y + 78, x : x + 65], data.pixels[i].repeat(13, 0).repeat(13, 1))


def pair(page: np.ndarray, k: int, size: tuple[int, int], factor: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What is around pair k's left upper corner, and its two pictures at their own size."""
    height, width = size
    wide, high = (2 * width + 2 + 8) * factor, (height + 8) * factor
    cell = page[(k // 4) * high : (k // 4 + 1) * high, (k % 4) * wide : (k % 4 + 1) * wide]
    inner = cell[4 * factor : -4 * factor : factor, 4 * factor : -4 * factor : factor]
    return cell[2 * factor, 2 * factor], inner[:, :width], inner[:, width + 2 :]


@pytest.mark.parametrize(("size", "factor"), [((8, 6), 8), ((40, 50), 2), ((70, 64), 1)])
def test_pairs_side_by_side_copies_in_red(size: tuple[int, int], factor: int) -> None:
    samples, training = images(20, size, 3), images(30, size, 3, 1)
    pairs = [(i, 29 - i, i % 3 == 0) for i in range(6)]
    page = opened(closest(found(*pairs), samples, training))
    for k, (i, j, copied) in enumerate(pairs):
        frame, left, right = pair(page, k, size, factor)
        assert np.array_equal(left, samples.pixels[i])
        assert np.array_equal(right, training.pixels[j])
        assert tuple(frame) == (RED if copied else (255, 255, 255))


@pytest.mark.parametrize(("n", "columns", "rows"), [(1, 1, 1), (5, 4, 2), (16, 4, 4), (40, 4, 4)])
def test_sixteen_at_the_most_four_in_a_row(n: int, columns: int, rows: int) -> None:
    data = images(40, (64, 64), 1)
    page = opened(closest(found(*((i, i, False) for i in range(n))), data, data))
    assert page.shape == (rows * 72, columns * 138, 3)


def test_grey_and_clear_pictures() -> None:
    grey, clear = images(2, (64, 64), 1), images(2, (64, 64), 4)
    _, left, right = pair(opened(closest(found((0, 1, False)), grey, grey)), 0, (64, 64), 1)
    assert np.array_equal(left, grey.pixels[0].repeat(3, -1))
    assert np.array_equal(right, grey.pixels[1].repeat(3, -1))
    clear.pixels[0, ..., 3] = 0
    clear.pixels[1, ..., 3] = 255
    _, left, right = pair(opened(closest(found((0, 1, True)), clear, clear)), 0, (64, 64), 1)
    assert (left == 255).all()
    assert np.array_equal(right, clear.pixels[1, ..., :3])

"""What is where on the GIF and on the strip, pixel for pixel."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from ddpm.core import Level
from ddpm.engine.trajectory import Stage
from ddpm.report import trajectory as film


def made(mode: str, count: int, size: tuple[int, int] = (8, 12)) -> list[Stage]:
    """Stages of two images of few colours, that are all different."""
    rng = np.random.default_rng(0)

    def pixels() -> np.ndarray:
        return rng.choice([0, 40, 90, 255], (2, *size, len(mode))).astype(np.uint8)

    last = count - 1
    stages = [Stage(k, last - k, Level(float(last - k), 1.0, (last - k) / 10), pixels(), pixels()) for k in range(last)]
    end = pixels()
    stages.append(Stage(last, 0, Level(0.0, 1.0, 0.0), end, end))
    return stages


def frames(data: bytes) -> list[tuple[np.ndarray, int]]:
    """RGB pixels and milliseconds."""
    found = []
    with Image.open(BytesIO(data)) as gif:
        for k in range(gif.n_frames):
            gif.seek(k)
            found.append((np.asarray(gif.convert("RGB")), gif.info["duration"]))
        assert gif.info["loop"] == 0
    return found


def as_rgb(image: np.ndarray) -> np.ndarray:
    """On white."""
    if image.shape[-1] == 4:
        a = image[..., 3:].astype(float)
        return np.rint((image[..., :3] * a + 255 * (255 - a)) / 255).astype(np.uint8)
    return np.broadcast_to(image, (*image.shape[:2], 3))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_frame_is_x_beside_x0_each_pixel_a_square(mode: str) -> None:
    stages = made(mode, 5)
    shown = frames(film.gif(stages, 1))
    assert [lasts for _, lasts in shown] == [300, 300, 300, 300, 1500]
    for (page, _), stage in zip(shown, stages, strict=True):
        assert page.shape == (160, 20 * (12 + 1 + 12), 3)
        small = page[10::20, 10::20]
        assert np.array_equal(small.repeat(20, 0).repeat(20, 1), page)
        # of many half transparent colours a palette has the nearest
        for part, image in ((small[:, :12], stage.x[1]), (small[:, 13:], stage.x0[1])):
            assert np.abs(part.astype(int) - as_rgb(image)).max() <= (12 if mode == "RGBA" else 0)
        assert (small[:, 12] == 255).all()
    assert np.array_equal(shown[-1][0][:, :240], shown[-1][0][:, 260:])


def test_many_frames_pass_quickly() -> None:
    assert [lasts for _, lasts in frames(film.gif(made("L", 40), 0))] == [60] * 39 + [1500]


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_strip_has_x_above_and_x0_below(mode: str) -> None:
    stages = made(mode, 21)
    page = np.asarray(film.strip(stages, 0))
    high, wide = 12 * 8, 12 * 12
    step = wide + film.GAP
    assert page.shape == (film.CAPTION + 2 * (high + film.GAP), film.TITLE + 9 * step, 3)
    for column, stage in enumerate(stages[k] for k in (0, 2, 5, 8, 10, 12, 15, 18, 20)):
        for row, image in enumerate((stage.x[0], stage.x0[0])):
            top, left = film.CAPTION + row * (high + film.GAP), film.TITLE + column * step
            found = page[top : top + high, left : left + wide]
            wanted = as_rgb(image).repeat(12, 0).repeat(12, 1)
            assert np.abs(found.astype(int) - wanted).max() <= (1 if mode == "RGBA" else 0)
        caption = page[: film.CAPTION, film.TITLE + column * step : film.TITLE + column * step + wide]
        assert (caption < 200).any()
        assert (caption[-2:] == 255).all()


def test_large_images_are_left_as_they_are_and_narrow_ones_have_room_for_their_captions() -> None:
    assert frames(film.gif(made("RGB", 2, (200, 6)), 0))[0][0].shape == (200, 6 + 1 + 6, 3)
    page = film.strip(made("L", 3, (96, 10)), 0)
    assert page.width == film.TITLE + 3 * (film.STRIP + film.GAP)


def test_the_same_bytes_again() -> None:
    stages = made("RGB", 4)
    assert film.gif(stages, 0) == film.gif(stages, 0) != film.gif(stages, 1)
    assert film.strip(stages, 0) == film.strip(stages, 0) != film.strip(stages, 1)

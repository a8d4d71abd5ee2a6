from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from ddpm.images.decode import BadImage, decode, header
from ddpm.images.geometry import Geometry

Make = Callable[..., bytes]

MOST = 100_000


def gradient(width: int, height: int) -> Image.Image:
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([across, down, 255 - across], -1).astype(np.uint8))


@pytest.mark.parametrize("turn", [1, 6])
def test_a_large_jpeg_is_read_at_a_fraction_of_its_size(save: Make, turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    image = gradient(640, 480)
    data = save(image, "JPEG", quality=95, exif=exif)
    whole, look = decode(data)
    picture, facts = decode(data, MOST, (16, 16))
    assert (look.reduced, facts.reduced) == (False, True)
    assert facts.size == look.size == header(data, MOST)[0] == ((480, 640) if turn == 1 else (640, 480))
    assert min(picture.size) == 60
    for geometry in (Geometry((16, 16)), Geometry((12, 16), fit="pad")):
        assert np.abs(geometry.apply(picture).astype(int) - geometry.apply(whole)).max() <= 3


def test_a_fraction_is_never_smaller_than_needed(save: Make) -> None:
    data = save(gradient(640, 480), "JPEG")
    for side in (16, 40, 90, 110):
        assert min(decode(data, MOST, (side, side))[0].size) >= 2 * side
    with pytest.raises(BadImage, match="307,200 pixels, more than 100,000"):
        decode(data, MOST, (200, 200))


def test_other_large_pictures_are_refused(save: Make) -> None:
    for data in (save(gradient(640, 480)), save(gradient(640, 480), "JPEG", progressive=True)):
        for least in (None, (16, 16)):
            with pytest.raises(BadImage, match="307,200 pixels"):
                decode(data, MOST, least)
        assert decode(data, 400_000)[1].size == (480, 640)


def test_the_limit_can_be_above_that_of_pillow(save: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    for format in ("PNG", "JPEG", "TIFF", "BMP"):
        assert decode(save(gradient(64, 48), format), 4000)[1].size == (48, 64)
        with pytest.raises(BadImage, match="3,072 pixels"):
            decode(save(gradient(64, 48), format), 3000)

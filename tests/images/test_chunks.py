import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from colour_profiles import rgb_profile
from ddpm.images.chunks import pixels_only
from ddpm.images.decode import BadImage, decode, header

Make = Callable[..., bytes]

IMAGE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 6, 3), dtype=np.uint8))


@pytest.mark.parametrize("behind", [False, True])
def test_the_pixels_beside_a_large_text_are_fine(save: Make, behind: bool) -> None:
    info = PngInfo()
    info.add(b"zTXt", b"notes\0\0" + zlib.compress(bytes(3_000_000)), behind)
    data = save(IMAGE, pnginfo=info, transparency=(1, 2, 3))
    picture, look = decode(data)
    assert np.array_equal(np.asarray(picture)[..., :3], IMAGE)
    assert (look.mode, header(data)) == ("RGBA", ((8, 6), "RGBA"))


def test_the_pixels_beside_a_damaged_text_are_fine(save: Make) -> None:
    info = PngInfo()
    info.add_text("author", "somebody")
    data = save(IMAGE, pnginfo=info).replace(b"somebody", b"somebodi")
    assert np.array_equal(decode(data)[0], IMAGE)


def test_a_large_profile_is_used_and_a_damaged_one_is_not(save: Make) -> None:
    data = save(IMAGE, icc_profile=rgb_profile() + bytes(2_000_000))
    assert decode(data)[1].recoloured
    at = data.index(b"iCCP") + 20
    damaged = data[:at] + bytes(9) + data[at + 9 :]
    picture, look = decode(damaged)
    assert (look.recoloured, picture.tobytes()) == (False, IMAGE.tobytes())


def test_other_files_and_damaged_pixels_stay_as_they_are(save: Make) -> None:
    jpeg = save(IMAGE, "JPEG")
    assert pixels_only(jpeg) == (jpeg, None)
    assert pixels_only(save(IMAGE)) == (save(IMAGE), None)
    for n in range(9, len(save(IMAGE)) - 24, 7):
        with pytest.raises(BadImage):
            decode(save(IMAGE)[:n])

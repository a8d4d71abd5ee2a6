"""One conversion of 16 bits to 8, wherever a picture is looked at."""

from io import BytesIO

import numpy as np
from PIL import Image

from ddpm.images.decode import decode
from ddpm.images.photo import read
from ddpm.images.pixels import to_8_bits, to_16_bits
from ddpm.images.sheets import opaque

ALL = np.arange(65536)


def test_16_bits_are_the_nearest_of_8():
    np.testing.assert_array_equal(to_8_bits(ALL), np.rint(ALL * 255 / 65535))


def test_8_bits_are_found_again():
    np.testing.assert_array_equal(to_8_bits(to_16_bits(ALL[:256].astype(np.uint8))), ALL[:256])
    assert to_16_bits(np.array([255], np.uint8)) == [65535]


def test_training_the_model_and_a_sheet_see_the_same_values():
    values = ALL.reshape(256, 256).astype(np.uint16)
    image, file = Image.fromarray(values), BytesIO()
    image.save(file, "PNG")
    decoded, photo = decode(file.getvalue())[0], read(image, (256, 256), "L")
    for seen in (decoded, photo.pixels[..., 0], opaque(image).getchannel("R")):
        np.testing.assert_array_equal(np.asarray(seen), to_8_bits(values))

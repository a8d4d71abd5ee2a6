from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from PIL import Image, ImageCms

from colour_profiles import SRGB, adobe_to_srgb, cmyk_profile, grey_profile, rgb_profile
from ddpm.images.decode import decode
from ddpm.images.geometry import Geometry
from ddpm.images.profiles import converts, in_profile, srgb

Make = Callable[..., bytes]

LATTICE = np.array([list(product(range(0, 256, 15), repeat=3))], np.uint8)


def tagged(values: np.ndarray, profile: bytes, mode: str | None = None) -> Image.Image:
    image = Image.fromarray(values) if mode is None else Image.fromarray(values).convert(mode)
    image.info["icc_profile"] = profile
    return image


def test_colours_are_converted_as_their_formula_says() -> None:
    given = tagged(LATTICE, rgb_profile())
    made = srgb(given)
    assert "icc_profile" not in made.info
    expected = adobe_to_srgb(LATTICE / 255)
    inside = ((expected > 0.02) & (expected < 0.98)).all(-1)  # the rest is clipped, and gamma is steep near black
    assert inside.sum() > 1500
    assert np.abs(np.asarray(made) / 255 - expected)[inside].max() < 2.1 / 255
    back = np.asarray(in_profile(made, given), int)
    assert np.abs(back - LATTICE)[inside].max() <= 2


def test_grey_keeps_one_channel() -> None:
    ramp = np.arange(256, dtype=np.uint8)[None]
    for profile in (grey_profile(1.0), rgb_profile(gamma=1.0)):
        given = tagged(ramp, profile)
        assert srgb(given).mode == "L"
        assert abs(np.asarray(srgb(given), int)[0, 55] - 128) <= 1  # (128 / 255) in sRGB is 0.2158 of linear light
        back = np.asarray(in_profile(srgb(given), given), int)
        assert np.abs(back - ramp)[:, 40:].max() <= 2


def test_alpha_is_kept() -> None:
    for mode in ("LA", "RGBA"):
        given = tagged(np.random.default_rng(0).integers(0, 256, (5, 4, 4), np.uint8), rgb_profile(gamma=1.0), mode)
        for made in (srgb(given), in_profile(srgb(given), given)):
            assert made.mode == mode
            assert made.getchannel("A").tobytes() == given.getchannel("A").tobytes()
        assert srgb(given).tobytes() != given.tobytes()


def test_srgb_by_whatever_profile_is_unchanged() -> None:
    for profile in (ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), b""):
        given = tagged(LATTICE, profile)
        assert converts(given) is False
        assert srgb(given).tobytes() == given.tobytes()
    near = tagged(LATTICE, rgb_profile(SRGB, 2.2))  # a power of 2.2 differs by more than rounding
    assert converts(near) is True


def test_what_is_no_profile_of_the_mode_is_dropped() -> None:
    for profile in (b"no profile", rgb_profile()[:200], cmyk_profile(), grey_profile(2)):
        given = tagged(LATTICE, profile)
        assert converts(given) is None
        assert srgb(given).tobytes() == given.tobytes()
        assert "icc_profile" not in srgb(given).info


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_files_are_decoded_to_srgb(save: Make, format: str) -> None:
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}.get(format, {})
    flat = np.full((16, 16, 3), (40, 160, 200), np.uint8)
    picture, look = decode(save(Image.fromarray(flat), format, icc_profile=rgb_profile(), **options))
    assert look.recoloured
    expected = adobe_to_srgb(flat[0, 0] / 255) * 255
    for geometry in (Geometry(), Geometry((8, 8)), Geometry((8, 4), fit="pad"), Geometry((32, 20))):
        assert np.abs(geometry.apply(picture) - expected).max() < 3


def test_inks_are_read_by_their_profile(save: Make) -> None:
    inks = Image.fromarray(np.full((16, 16, 4), (255, 0, 0, 0), np.uint8), "CMYK")
    picture, look = decode(save(inks, "TIFF", icc_profile=cmyk_profile()))
    assert (look.stored, look.mode, look.recoloured) == ("CMYK", "RGB", True)
    assert np.asarray(picture).max() < 20  # the profile's cyan is black
    assert np.asarray(decode(save(inks, "TIFF"))[0])[0, 0].tolist() == [0, 255, 255]


def test_a_sixteen_bit_picture_keeps_its_profile(save: Make) -> None:
    values = np.full((4, 4), 55 * 257, np.uint16)
    picture, look = decode(save(Image.fromarray(values), icc_profile=grey_profile(1.0)))
    assert (look.mode, look.deep, look.recoloured, look.peak) == ("L", True, True, 55 * 257)
    assert np.abs(Geometry().apply(picture).astype(int) - 128).max() <= 1

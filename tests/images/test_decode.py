import warnings
from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageOps

from colour_profiles import grey_profile
from ddpm.images.decode import BadImage, check_bytes, decode
from ddpm.images.profiles import srgb

Make = Callable[..., bytes]

noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 6, 4), dtype=np.uint8))


@pytest.mark.parametrize(
    ("stored", "mode"),
    [("1", "L"), ("L", "L"), ("LA", "RGBA"), ("P", "RGB"), ("RGB", "RGB"), ("RGBA", "RGBA")],
)
def test_png_modes(save: Make, stored: str, mode: str) -> None:
    image = (noise if "A" in stored else noise.convert("RGB")).convert(stored)
    picture, look = decode(save(image))
    assert (look.stored, look.mode) == (stored, mode)
    assert np.array_equal(picture, image.convert(mode))
    assert (look.animated, look.turned, look.deep) == (False, False, False)


def test_a_palette_with_transparency_becomes_rgba(save: Make) -> None:
    palette = noise.convert("RGB").quantize(4)
    picture, look = decode(save(palette, transparency=1))
    assert (look.stored, look.mode) == ("P", "RGBA")
    assert np.array_equal(np.asarray(picture)[..., 3] == 0, np.asarray(palette) == 1)


@pytest.mark.parametrize(("stored", "key"), [("L", 0), ("RGB", (0, 0, 0))])
def test_a_transparent_colour_becomes_rgba(save: Make, stored: str, key: int | tuple[int, ...]) -> None:
    image = Image.new(stored, (2, 1), key)
    image.putpixel((1, 0), 255 if stored == "L" else (255, 255, 255))
    picture, _ = decode(save(image, transparency=key))
    assert np.asarray(picture)[..., 3].tolist() == [[0, 255]]


def test_a_transparent_value_of_16_bits_becomes_alpha(save: Make) -> None:
    values = np.array([[1000, 1001, 65535]], np.uint16)
    picture, look = decode(save(Image.fromarray(values), transparency=1000))
    assert (picture.mode, look.mode, look.deep) == ("RGBA", "RGBA", True)
    assert np.asarray(picture).tolist() == [[[4, 4, 4, 0], [4, 4, 4, 255], [255] * 4]]


def test_the_profile_of_grey_counts_with_alpha_too(save: Make) -> None:
    linear = grey_profile(1.0)
    grey = Image.new("L", (1, 1), 128)
    wanted = srgb(Image.open(BytesIO(save(grey, icc_profile=linear)))).getpixel((0, 0))
    picture, look = decode(save(grey.convert("LA"), icc_profile=linear))
    assert (picture.getpixel((0, 0)), look.recoloured) == ((wanted, wanted, wanted, 255), True)
    assert wanted == 188


@pytest.mark.parametrize("stored", ["LAB", "YCbCr", "RGBX"])
def test_rarer_modes_become_rgb(save: Make, stored: str) -> None:
    assert decode(save(Image.new(stored, (4, 4)), "TIFF"))[1].mode == "RGB"


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_becomes_rgb(save: Make, format: str) -> None:
    red = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    picture, look = decode(save(red, format))
    assert (look.stored, look.mode) == ("CMYK", "RGB")
    assert np.allclose(np.asarray(picture)[4, 4], (255, 0, 0), atol=3)


@pytest.mark.parametrize("format", ["PNG", "TIFF", "PPM"])
def test_16_bits_are_scaled_by_their_depth(save: Make, format: str) -> None:
    values = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257
    picture, look = decode(save(Image.fromarray(values), format))
    assert look.deep
    assert np.array_equal(picture, values // 257)


def test_16_bits_are_rounded(save: Make) -> None:
    values = np.array([[0, 128, 129, 65406, 65407, 65535]], np.uint16)
    assert np.asarray(decode(save(Image.fromarray(values)))[0]).tolist() == [[0, 0, 1, 254, 255, 255]]


def test_16_bit_colour(raw_png: Make) -> None:
    values = np.arange(0, 256, dtype=np.uint16)[:240].reshape(8, 10, 3) * 257
    picture, look = decode(raw_png(10, 8, 16, 2, values.astype(">u2").tobytes()))
    assert (look.mode, look.deep) == ("RGB", True)
    assert np.array_equal(picture, values // 257)


@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP"])
def test_pictures_are_turned_upright(save: Make, format: str) -> None:
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        options = {"lossless": True} if format == "WEBP" else {}
        data = save(noise.convert("RGB"), format, exif=exif, **options)
        tagged = noise.convert("RGB")
        tagged.getexif()[0x0112] = orientation
        assert np.array_equal(decode(data)[0], ImageOps.exif_transpose(tagged))


def test_turning_is_counted(save: Make) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture, look = decode(save(noise.convert("RGB"), "JPEG", exif=exif))
    assert look.turned
    assert picture.size == noise.size[::-1]


def test_damaged_exif_does_no_harm(save: Make) -> None:
    data = save(noise.convert("RGB"), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert decode(data)[1].mode == "RGB"


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_an_animation_the_first_frame_is_taken(save: Make, format: str) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue", "lime")]
    options = {"lossless": True} if format == "WEBP" else {}
    picture, look = decode(save(frames[0], format, save_all=True, append_images=frames[1:], **options))
    assert look.animated
    assert np.asarray(picture.convert("RGB"))[0, 0].tolist() == [255, 0, 0]


def test_a_camera_preview_is_no_animation(save: Make) -> None:
    both = save(noise.convert("RGB"), "MPO", save_all=True, append_images=[noise.convert("RGB")])
    assert not decode(both)[1].animated


def test_arrays() -> None:
    for shape in [(4, 5), (4, 5, 2), (4, 5, 3), (4, 5, 4)]:
        values = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        picture, look = decode(values)
        assert look.mode == picture.mode == ("L" if len(shape) == 2 else "RGB" if shape[2] == 3 else "RGBA")
        if shape[2:] != (2,):
            assert np.array_equal(picture, values)


def test_bad_files_have_a_reason(save: Make) -> None:
    jpeg = save(noise.convert("RGB").resize((64, 64)), "JPEG")
    damaged = bytearray(save(noise))
    damaged[60:68] = b"damaged!"
    for data, reason in [
        (b"", "empty"),
        (b"<html>404</html>", "text, not a picture"),
        (bytes(range(128, 256)) * 9, "not a picture of a known format"),
        (save(noise)[:30], "header is damaged"),
        (jpeg[: len(jpeg) // 2], "truncated"),
        (save(noise)[:-60], "truncated"),
        (bytes(damaged), "damaged"),
        (save(Image.new("F", (4, 4), 0.5), "TIFF"), "no known range"),
        (save(Image.new("I", (4, 4), 252), "TIFF"), "32-bit values have no known range"),
        (save(Image.new("I", (4, 4), 70_000), "TIFF"), "no known range"),
    ]:
        with pytest.raises(BadImage, match=reason):
            decode(data)


@pytest.mark.parametrize("side", [9_500, 14_000, 60_000])
def test_a_bomb_is_refused_by_its_header(raw_png: Make, side: int) -> None:
    bomb = raw_png(side, side, 8, 0, b"")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(BadImage, match="truncated" if side == 9_500 else "pixels, more than 178,956,970"):
            decode(bomb)


def test_a_bomb_is_refused_also_where_pillow_would_not(raw_png: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(BadImage, match="178,956,970"):
        decode(raw_png(60_000, 60_000, 8, 2, b""))


def test_a_huge_file_is_not_read() -> None:
    check_bytes(2**30)
    with pytest.raises(BadImage, match=r"5\.0 GB"):
        check_bytes(5_000_000_000)

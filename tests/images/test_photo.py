from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import IFD, Base
from tests.laws.cover import every_pair

from colour_profiles import adobe_to_srgb, cmyk_profile, grey_profile, rgb_profile
from ddpm.images.geometry import Geometry
from ddpm.images.photo import Photo, opened, read
from ddpm.images.profiles import srgb
from ddpm.records.provenance import save
from ddpm.system.errors import InputError
from ddpm.tasks.mask import preview, read_mask
from refusal import refuses

ORIENTATION, MAKER = Base.Orientation, Base.Make
SIZE = (6, 4)
RNG = np.random.default_rng(0)


def noise(mode: str, size: tuple[int, int] = (6, 4)) -> Image.Image:
    """A picture whose pixels are all random, alpha included."""
    bands = {"L": (), "LA": (2,), "RGB": (3,), "RGBA": (4,), "I;16": ()}[mode]
    top, kind = (65536, np.uint16) if mode == "I;16" else (256, np.uint8)
    return Image.fromarray(RNG.integers(0, top, (*size, *bands)).astype(kind))


KINDS = [("L", "L"), ("LA", "L"), ("I;16", "L"), ("RGB", "RGB"), ("RGBA", "RGB"), ("RGBA", "RGBA")]


@pytest.mark.parametrize(("stored", "learned"), KINDS)
def test_known_pixels_leave_as_they_came_and_drawn_ones_are_drawn(tmp_path: Path, stored: str, learned: str) -> None:
    image = noise(stored)
    image.save(tmp_path / "photo.png")
    photo = read(tmp_path / "photo.png", SIZE, learned)
    assert photo.pixels.shape == (6, 4, len(learned))
    fill = RNG.random((6, 4)) < 0.5
    drawn = RNG.integers(0, 256, photo.pixels.shape).astype(np.uint8)
    made = photo.with_drawn(drawn, fill)
    made.save(tmp_path / "made.png")
    before, after = np.array(image), np.array(Image.open(tmp_path / "made.png"))
    assert after.dtype == before.dtype
    assert after.shape == before.shape
    np.testing.assert_array_equal(after[~fill], before[~fill])
    if stored == learned:
        np.testing.assert_array_equal(np.atleast_3d(after)[fill], drawn[fill])
    elif stored == "I;16":
        np.testing.assert_array_equal(after[fill], drawn[fill, 0].astype(int) * 257)
    else:
        np.testing.assert_array_equal(after[fill, :-1], drawn[fill])
        assert (after[fill, -1] == 255).all()


@pytest.mark.parametrize(("stored", "learned"), KINDS)
def test_all_colours_drawn_anew_with_the_pictures_own_alpha_and_depth(stored: str, learned: str) -> None:
    image = noise(stored)
    photo = read(image, SIZE, learned)
    drawn = RNG.integers(0, 256, photo.pixels.shape).astype(np.uint8)
    made = photo.redrawn(drawn)
    assert made.mode == stored
    if stored == "I;16":
        np.testing.assert_array_equal(np.asarray(made), drawn[..., 0].astype(int) * 257)
    elif stored == learned:
        np.testing.assert_array_equal(np.atleast_3d(np.asarray(made)), drawn)
    else:
        check_seen(made, drawn, np.asarray(image)[..., -1])


def check_seen(made: Image.Image, drawn: np.ndarray, alpha: np.ndarray) -> None:
    """Of this alpha, and on white what was drawn; if that is darker than black of this alpha, it is that."""
    pixels = np.asarray(made).astype(float)
    np.testing.assert_array_equal(pixels[..., -1], alpha)
    share = alpha[..., None] / 255
    seen = share * pixels[..., :-1] + (1 - share) * 255
    np.testing.assert_allclose(seen, np.maximum(drawn, 255 - alpha[..., None].astype(int)), atol=0.5)
    np.testing.assert_array_equal(pixels[alpha == 255, :-1], drawn[alpha == 255])


def test_grey_pictures_in_colour_keep_their_alpha_and_larger_ones_an_enlarged_one():
    colours = RNG.integers(0, 256, (6, 4, 3)).astype(np.uint8)
    image = noise("LA")
    check_seen(read(image, SIZE, "L").redrawn(colours), colours, np.asarray(image)[..., 1])
    assert read(noise("I;16"), SIZE, "L").redrawn(colours).mode == "RGB"
    halves = Image.fromarray(np.repeat([[0, 255]], [4, 2], 1).repeat(6, 0).astype(np.uint8))
    large = read(Image.merge("LA", (halves, halves)), (6, 6), "L").redrawn(np.zeros((12, 12, 1), np.uint8))
    alpha = np.asarray(large)[..., 1]
    assert alpha.shape == (12, 12)
    assert (alpha[:, :6] == 0).all()
    assert (alpha[:, 10:] == 255).all()


def test_what_the_model_sees():
    """Its own mode as it is; of 16 bits the upper 8, rounded; transparent as white."""
    for mode in ("L", "RGB", "RGBA"):
        image = noise(mode)
        np.testing.assert_array_equal(read(image, SIZE, mode).pixels, np.atleast_3d(np.asarray(image)))
    deep = Image.fromarray(np.array([[0, 128, 129, 65535]], np.uint16))
    assert read(deep, (1, 4), "L").pixels[0, :, 0].tolist() == [0, 0, 1, 255]
    clear = Image.new("RGBA", (4, 6), (10, 20, 30, 0))
    assert (read(clear, SIZE, "RGB").pixels == 255).all()


def test_larger_pictures_stay_as_they_are_and_fit_brings_any_to_the_runs_size():
    assert read(noise("RGB", (9, 5)), SIZE, "RGB").size == (9, 5)
    for mode in ("L", "RGB", "RGBA"):
        photo = read(noise(mode, (3, 9)), SIZE, "RGB", "crop")
        assert (photo.size, photo.image.mode) == ((6, 4), "RGB")
        np.testing.assert_array_equal(np.asarray(photo.image), photo.pixels)


def test_turned_and_palette_pictures_are_opened_as_people_see_them(tmp_path: Path) -> None:
    image = noise("RGB")
    turned = image.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 270 degrees
    turned.save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(np.asarray(opened(tmp_path / "turned.png")[1]), np.asarray(image))
    image.quantize(16).save(tmp_path / "palette.png")
    assert opened(tmp_path / "palette.png")[1].mode == "RGB"


def test_a_picture_in_memory_is_turned_as_its_file_is(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    noise("RGB").transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    name, image = opened(Image.open(tmp_path / "turned.png"))
    assert name == "turned.png"
    np.testing.assert_array_equal(np.asarray(image), np.asarray(opened(tmp_path / "turned.png")[1]))


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_colour_named_transparent_becomes_alpha(tmp_path: Path, mode: str) -> None:
    image = Image.new(mode, (4, 6), 7 if mode == "L" else (7, 8, 9))
    image.save(tmp_path / "keyed.png", transparency=7 if mode == "L" else (7, 8, 9))
    for given in (tmp_path / "keyed.png", Image.open(tmp_path / "keyed.png")):
        photo = read(given, SIZE, mode)  # type: ignore[arg-type]
        assert photo.image.mode == f"{mode}A"
        assert (np.asarray(photo.image)[..., -1] == 0).all()
        assert (photo.pixels == 255).all()


def test_no_depth_is_lost(tmp_path: Path) -> None:
    values = RNG.integers(0, 65536, (6, 4)).astype(np.uint16)
    big = Image.frombytes("I;16B", (4, 6), values.astype(">u2").tobytes())
    big.save(tmp_path / "big.tif")
    for given in (tmp_path / "big.tif", big, Image.fromarray(values.astype(np.int32))):
        image = read(given, SIZE, "L").image
        assert image.mode == "I;16"
        np.testing.assert_array_equal(np.asarray(image), values)


@pytest.mark.parametrize("values", [np.full((6, 4), -1, np.int32), np.full((6, 4), 70_000, np.int32), np.zeros((6, 4))])
def test_values_without_a_known_range(values: np.ndarray) -> None:
    with refuses("unreadable"):
        read(Image.fromarray(values.astype(np.int32 if values.any() else np.float32)), SIZE, "L")


@pytest.mark.parametrize(
    ("image", "learned", "said"),
    [
        (noise("RGB"), "L", "the image has the mode RGB, .* L; .*--fit crop"),
        (noise("L"), "RGB", "the image has the mode L, .* RGB; "),
        (noise("RGB"), "RGBA", "the image has the mode RGB, .* RGBA; "),
        (noise("RGB", (5, 4)), "RGB", "5 × 4, smaller than the 6 × 4 .*--fit crop"),
    ],
)
def test_refusals(image: Image.Image, learned: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(image, SIZE, learned)


def test_files_that_are_no_pictures_are_refused(tmp_path: Path) -> None:
    with refuses("unreadable"):
        read(tmp_path / "none.png", SIZE, "L")
    (tmp_path / "text.png").write_text("hello")
    with refuses("unreadable"):
        read(tmp_path / "text.png", SIZE, "L")


def test_a_picture_in_memory_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    """Pillow reads its pixels at the first use."""
    for name in ("whole.png", "whole.jpg", "whole.tif"):
        noise("RGB", (60, 40)).save(tmp_path / name)
        cut = Image.open(BytesIO((tmp_path / name).read_bytes()[:-1000]))
        with refuses("unreadable"):
            read(cut, SIZE, "RGB")
    closed = Image.open(tmp_path / "whole.png")
    closed.close()
    with refuses("unreadable"):
        read(closed, SIZE, "RGB")


class TestMask:
    photo = read(noise("RGB"), SIZE, "RGB")

    def test_white_is_filled_and_greys_are_the_nearer(self):
        shades = np.array([[0, 127, 128, 255]] * 6, np.uint8)
        assert read_mask(Image.fromarray(shades), self.photo)[0].tolist() == [False, False, True, True]
        deep = Image.fromarray(shades.astype(np.uint16) * 257)
        assert read_mask(deep, self.photo)[0].tolist() == [False, False, True, True]

    @pytest.mark.parametrize(
        ("size", "fit", "mode"),
        every_pair(
            [(60, 60), (47, 60), (60, 31), (7, 7), (13, 8), (8, 13)], ["crop", "pad", "stretch"], ["RGB", "RGBA"]
        ),
    )
    def test_nothing_of_what_was_under_white_is_left(self, size: tuple[int, int], fit: Any, mode: str) -> None:
        """Whatever is painted there, the pixels that are kept are the same, but for the colour of a margin.

        Every size by every fit, and each in both modes.
        """
        white = np.zeros(size, np.uint8)
        white[size[0] // 2, size[1] // 3 : size[1] // 2] = 255
        first, second = np.array(noise(mode, size)), np.array(noise(mode, size))
        second[white == 0] = first[white == 0]
        photos = [read(Image.fromarray(pixels), (8, 8), mode, fit) for pixels in (first, second)]
        fills = [read_mask(Image.fromarray(white), photo, fit) for photo in photos]
        np.testing.assert_array_equal(*fills)
        one, other = (photo.pixels for photo in photos)
        kept = ~fills[0] & Geometry((8, 8), fit=fit).reach(np.ones(size, bool))
        np.testing.assert_array_equal(one[kept], other[kept])
        assert (one != other).any()

    def test_a_margin_is_kept(self):
        """Whatever the mask is at its border."""
        photo = read(noise("RGB", (16, 32)), (32, 32), "RGB", "pad")
        white = np.zeros((16, 32), np.uint8)
        white[:8] = 255
        fill = read_mask(Image.fromarray(white), photo, "pad")
        assert not fill[:8].any()
        assert not fill[24:].any()
        np.testing.assert_array_equal(fill[8:24], white == 255)

    @pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
    def test_a_mask_that_is_only_cut_or_stays_is_the_same(self, fit: Any) -> None:
        white = RNG.random((6, 4)) < 0.5
        photo = read(noise("RGB"), SIZE, "RGB", fit)
        np.testing.assert_array_equal(read_mask(Image.fromarray(white), photo, fit), white)
        wide = RNG.random((6, 8)) < 0.5
        cut = read(noise("RGB", (6, 8)), SIZE, "RGB", "crop")
        np.testing.assert_array_equal(read_mask(Image.fromarray(wide), cut, "crop"), wide[:, 2:6])

    def test_white_on_a_transparent_ground(self):
        painted = np.full((6, 4, 4), 255, np.uint8)
        painted[:, :2, 3] = 0
        assert read_mask(Image.fromarray(painted), self.photo)[0].tolist() == [False, False, True, True]

    @pytest.mark.parametrize(
        ("mask", "said"),
        [
            (
                Image.new("L", (5, 6), 255),
                "e a mask of the picture's size",
            ),
            (Image.new("L", (4, 6), 0), "nothing to fill in"),
            (Image.new("L", (4, 6), 255), "at 6 × 4"),
        ],
    )
    def test_masks_of_no_use(self, mask: Image.Image, said: str) -> None:
        with pytest.raises(InputError, match=said):
            read_mask(mask, self.photo)

    @pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
    def test_the_preview_tints_what_is_filled_and_nothing_else(self, mode: str) -> None:
        photo = read(noise(mode), SIZE, mode)
        fill = RNG.random((6, 4)) < 0.5
        seen = np.asarray(preview(photo, fill))
        known = np.asarray(photo.image.convert("RGB")) if mode != "RGBA" else np.asarray(photo.image)[..., :3]
        np.testing.assert_array_equal(seen[~fill], known[~fill])
        assert (seen[fill, 0] >= 191).all()
        assert (seen[fill, 1] <= 63).all()


def photograph(path: Path, profile: bytes) -> Path:
    """A turned photograph in another colour space, with a small picture in its EXIF."""
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKER] = 6, "maker"
    thumbnail = exif.get_ifd(IFD.IFD1)
    thumbnail[0x0103] = 6
    flat = Image.fromarray(np.full((24, 32, 3), (40, 160, 200), np.uint8))
    flat.save(path, quality=100, subsampling=0, exif=exif, dpi=(300, 300), icc_profile=profile)
    return path


def test_an_edited_photograph_keeps_profile_resolution_and_exif(tmp_path: Path) -> None:
    photo = read(photograph(tmp_path / "photo.jpg", rgb_profile()), (8, 8), "RGB")
    assert photo.size == (32, 24)
    shown = adobe_to_srgb(np.array([40, 160, 200]) / 255) * 255
    assert np.abs(photo.pixels - shown).max() < 3
    fill = np.arange(24) < 12
    drawn = np.broadcast_to(np.uint8([90, 140, 120]), photo.pixels.shape)
    for made in (photo.redrawn(drawn), photo.with_drawn(drawn, np.broadcast_to(fill, photo.size))):
        save(made, tmp_path / "made.png")
        file = Image.open(tmp_path / "made.png")
        assert file.info["icc_profile"] == rgb_profile()
        assert round(file.info["dpi"][0]) == 300
        assert dict(file.getexif()) == {MAKER: "maker"}
        assert not file.getexif().get_ifd(IFD.IFD1)
        seen = np.asarray(srgb(file))
        assert np.abs(seen[:, :12].astype(int) - drawn[:, :12]).max() <= 2
    assert np.array_equal(np.asarray(made)[:, 12:], np.asarray(photo.image)[:, 12:])  # the known half, bit for bit
    fitted = read(tmp_path / "photo.jpg", (8, 8), "RGB", "crop")
    assert "icc_profile" not in fitted.redrawn(fitted.pixels).info


@pytest.mark.parametrize("stored", ["L", "LA", "I;16"])
def test_colours_of_a_grey_picture_are_in_srgb(stored: str) -> None:
    grey = Image.fromarray(np.zeros((8, 8), np.uint16)) if stored == "I;16" else Image.new(stored, (8, 8), 128)
    grey.info |= {"icc_profile": grey_profile(2.2), "dpi": (72, 72)}
    drawn = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    made = Photo("grey", grey, grey, np.asarray(grey)).redrawn(drawn)
    assert made.mode == ("RGBA" if stored == "LA" else "RGB")
    assert (made.info.get("icc_profile"), made.info["dpi"]) == (None, (72, 72))
    if stored != "LA":
        np.testing.assert_array_equal(np.asarray(made), drawn)


def test_a_profile_that_no_png_can_hold_is_applied(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (255, 0, 0, 0)).save(tmp_path / "inks.tif", icc_profile=cmyk_profile())
    inks = opened(tmp_path / "inks.tif").image
    assert (inks.mode, "icc_profile" in inks.info) == ("RGB", False)
    assert np.asarray(inks).max() < 20  # the profile's cyan is black
    Image.new("L", (8, 8), 55).save(tmp_path / "grey.jpg", icc_profile=rgb_profile(gamma=1.0))
    grey = opened(tmp_path / "grey.jpg").image
    assert (grey.mode, "icc_profile" in grey.info) == ("L", False)
    assert abs(int(np.asarray(grey)[0, 0]) - 128) <= 2


def test_damaged_exif_and_resolution_do_no_harm(tmp_path: Path) -> None:
    image = Image.new("RGB", (8, 8))
    image.save(tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    made = read(tmp_path / "a.jpg", (4, 4), "RGB").redrawn(np.zeros((8, 8, 3), np.uint8))
    for dpi in ((0, 0), (float("nan"), 1), (1e12, 1e12), ("?", 1), 72):
        made.info["dpi"] = dpi
        save(made, tmp_path / "made.png")
        assert "dpi" not in Image.open(tmp_path / "made.png").info

import numpy as np
import pytest
from PIL import Image
from tests.laws.cover import every_pair

from ddpm.images.geometry import Geometry
from ddpm.system.names import Fit, Mode

MODES: tuple[Mode, ...] = ("L", "RGB", "RGBA")
FITS: tuple[Fit, ...] = ("crop", "pad", "stretch")

rng = np.random.default_rng(0)


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3), ("RGBA", 4)])
def test_what_fits_passes_unchanged(mode: str, channels: int) -> None:
    for fit in FITS:
        values = rng.integers(0, 256, (5, 7, channels), dtype=np.uint8)
        image = Image.fromarray(values[..., 0] if mode == "L" else values)
        assert np.array_equal(Geometry((5, 7), mode, fit).apply(image), values)  # type: ignore[arg-type]
        assert np.array_equal(Geometry().apply(image), values)


OWN = [(1, 1), (1, 500), (500, 1), (37, 23), (8, 8)]
WANTED = [(1, 1), (13, 9), (64, 64), (3, 333)]


@pytest.mark.parametrize(("own", "size", "fit", "mode"), every_pair(OWN, WANTED, FITS, MODES))
def test_any_shape_becomes_the_wanted(own: tuple[int, int], size: tuple[int, int], fit: Fit, mode: str) -> None:
    """Every shape into every one, and each by every fit and in every mode."""
    out = Geometry(size, mode, fit).apply(Image.new("RGB", own[::-1], "red"))  # type: ignore[arg-type]
    assert out.shape == (*size, {"L": 1, "RGB": 3, "RGBA": 4}[mode])
    assert out.dtype == np.uint8
    assert out.flags.c_contiguous


def thirds() -> Image.Image:
    """12 × 36: red, green, blue side by side."""
    image = Image.new("RGB", (36, 12))
    for i, colour in enumerate([(255, 0, 0), (0, 255, 0), (0, 0, 255)]):
        image.paste(colour, (12 * i, 0, 12 * i + 12, 12))
    return image


def test_crop_keeps_the_middle() -> None:
    out = Geometry((6, 6), "RGB", "crop").apply(thirds())
    assert abs(out[:, 1:-1].astype(int) - [0, 255, 0]).max() <= 2


def test_stretch_keeps_everything() -> None:
    out = Geometry((12, 12), "RGB", "stretch").apply(thirds())
    assert abs(out[6, [1, 6, 10]] - [[255, 0, 0], [0, 255, 0], [0, 0, 255]]).max() <= 2


def test_pad_adds_a_margin_of_the_border_colour() -> None:
    framed = Image.new("RGB", (32, 16), "white")
    framed.paste("red", (8, 4, 24, 12))
    out = Geometry((16, 16), "RGB", "pad").apply(framed)
    assert (out[:4] == 255).all()
    assert (out[12:] == 255).all()
    assert out[8, 8].tolist() == [255, 0, 0]


def test_pad_is_transparent_where_there_is_alpha() -> None:
    out = Geometry((8, 8), "RGBA", "pad").apply(Image.new("RGBA", (16, 8), "red"))
    assert (out[[0, 1, 6, 7]] == 0).all()
    assert (out[2:6] == [255, 0, 0, 255]).all()


def test_what_is_invisible_does_not_bleed() -> None:
    values = np.zeros((32, 32, 4), np.uint8)
    values[:, :15] = 255, 0, 0, 255
    values[:, 15:] = 0, 255, 0, 0
    out = Geometry((8, 8), "RGBA").apply(Image.fromarray(values))
    visible = out[out[..., 3] > 8]
    assert len(visible) > 8
    assert (visible[:, 1] == 0).all()
    assert (visible[:, 0] >= 250).all()


def test_shrinking_is_antialiased() -> None:
    board = np.indices((64, 64)).sum(0) % 2 * 255
    out = Geometry((8, 8), "L").apply(Image.fromarray(board.astype(np.uint8)))
    assert abs(out[2:-2, 2:-2].astype(int) - 127).max() <= 3


def test_transparency_turns_white() -> None:
    clear = Image.new("RGBA", (2, 2), (255, 0, 0, 0))
    assert (Geometry(None, "RGB").apply(clear) == 255).all()
    assert (Geometry(None, "L").apply(clear) == 255).all()


def test_grey_becomes_colour_and_opaque() -> None:
    grey = Image.new("L", (1, 1), 77)
    assert Geometry(None, "RGBA").apply(grey).tolist() == [[[77, 77, 77, 255]]]


def test_tags_differ_where_results_do() -> None:
    all_of_them = [
        Geometry(size, mode, fit).tag for size in ((8, 8), (8, 16), (16, 8), (88, 8)) for mode in MODES for fit in FITS
    ]
    assert len(set(all_of_them)) == len(all_of_them)


@pytest.mark.parametrize("side", [32, 64])
def test_crop_stays_inside_every_picture(side: int) -> None:
    geometry = Geometry((side, side), "L", "crop")
    for width in range(40, 140, 9):
        for height in range(40, 140):
            assert geometry.apply(Image.new("L", (width, height))).shape == (side, side, 1)


def test_what_a_pixel_has_a_part_in_is_where_the_filter_gives_it_a_weight() -> None:
    """Stretched, by Pillow's own weights of single pixels."""
    for size in [(8, 8), (8, 5), (20, 9), (30, 47)]:
        geometry, own = Geometry(size, fit="stretch"), (20, 18)
        for place in [(0, 0), (7, 3), (10, 9), (19, 17)]:
            marked = np.zeros(own, bool)
            marked[place] = True
            weights = np.asarray(
                Image.fromarray(marked.astype(np.float32)).resize(size[::-1], Image.Resampling.LANCZOS)
            )
            assert np.array_equal(geometry.reach(marked), np.abs(weights) > 1e-7)


def test_reach_goes_where_the_picture_goes() -> None:
    half = np.zeros((4, 8), bool)
    half[:, 3] = True
    assert np.argwhere(Geometry((4, 4), fit="crop").reach(half))[:, 1].tolist() == [1] * 4
    padded = Geometry((8, 8), fit="pad").reach(half)
    assert np.argwhere(padded).tolist() == [[y, 3] for y in range(2, 6)]

from collections.abc import Iterator
from io import BytesIO

import numpy as np
from PIL import Image

from cases import cases
from ddpm.tasks.painted import painted, scaled
from refusal import refuses

AREA = np.zeros((32, 24), bool)
AREA[8:20, 4:15] = True
PHOTO = np.random.default_rng(0).integers(0, 256, (32, 24, 3)).astype(np.uint8)
DIGIT = np.repeat((np.random.default_rng(1).random((32, 24)) < 0.2)[..., None] * np.uint8(255), 3, -1)


def layer(colours: np.ndarray, alpha: np.ndarray) -> Image.Image:
    return Image.fromarray(np.dstack([colours, (255 * alpha).astype(np.uint8)]))


def flat(inside: tuple[int, ...], outside: tuple[int, ...]) -> np.ndarray:
    return np.where(AREA[..., None], inside, outside).astype(np.uint8)


def jpeg(image: Image.Image) -> Image.Image:
    out = BytesIO()
    image.save(out, "JPEG", quality=90)
    return Image.open(out)


def masks() -> Iterator[tuple[str, Image.Image, np.ndarray]]:
    """The part that is named, a mask of the area, and the picture that it is for."""
    white, black = (255,) * 3, (0,) * 3
    for picture in (PHOTO, DIGIT):
        yield "white", Image.fromarray(flat(white, black)), picture
        yield "white", jpeg(Image.fromarray(flat(white, black))), picture
        yield "value 1", Image.fromarray(AREA.astype(np.uint8)), picture
        yield "value 1", Image.fromarray(AREA.astype(np.uint16)), picture
        yield "white", Image.fromarray(AREA.astype(np.uint16) * 255), picture
        yield "white", Image.fromarray(AREA), picture
        yield "erased", layer(picture, ~AREA), picture
        yield "erased", layer(np.where(AREA[..., None], 255, picture), ~AREA), picture
        yield "white", layer(flat(white, white), AREA), picture
        for stroke in ((255, 0, 0), (0, 0, 160), (255, 255, 0)):
            yield "strokes", layer(flat(stroke, black), AREA), picture
            yield "coloured", Image.fromarray(flat(stroke, black)), picture
            yield "coloured", Image.fromarray(flat(stroke, white)), picture
    yield "painted over", Image.fromarray(np.where(AREA[..., None], (255, 0, 0), PHOTO).astype(np.uint8)), PHOTO
    yield "erased", layer(PHOTO[::-1], ~AREA), PHOTO


@cases(("part", "mask", "picture"), masks())
def test_the_area_that_people_mark(part: str, mask: Image.Image, picture: np.ndarray) -> None:
    mode = "RGBA" if mask.mode == "RGBA" else {"L": "L", "I;16": "I;16"}.get(mask.mode, "RGB")
    found = painted(mask if mask.mode == mode else mask.convert(mode), Image.fromarray(picture), "m.png")
    assert part in found.part
    wrong = found.fill != AREA
    wrong[[7, 8, 19, 20]] = wrong[:, [3, 4, 14, 15]] = False  # compression moves an edge
    assert not wrong.any()


def test_an_erased_part_of_a_picture_with_transparency_is_only_what_was_erased() -> None:
    own = np.ones_like(AREA)
    own[:4] = False
    found = painted(layer(PHOTO, own & ~AREA), layer(PHOTO, own), "m.png")
    np.testing.assert_array_equal(found.fill, AREA)


def test_a_picture_that_marks_nothing() -> None:
    for picture in (PHOTO, PHOTO[::-1]):
        with refuses("invalid", "m.png"):
            painted(Image.fromarray(PHOTO), Image.fromarray(picture), "m.png")


def test_another_size_of_the_same_proportions() -> None:
    """All of the area is in it, and an area that is scaled up and down is the same."""
    larger = scaled(AREA, (96, 72))
    assert larger is not None
    np.testing.assert_array_equal(larger, AREA.repeat(3, 0).repeat(3, 1))
    np.testing.assert_array_equal(scaled(larger, AREA.shape), AREA)
    one = np.zeros((320, 240), bool)
    one[100, 100] = True
    smaller = scaled(one, AREA.shape)
    assert smaller is not None
    assert smaller.sum() == 1
    assert scaled(AREA, (24, 32)) is None

"""Masks as people paint them: white on black, erased areas, coloured strokes, or values 0 and 1."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from ddpm.images.photo import Fill
from ddpm.images.pixels import to_8_bits
from ddpm.system.errors import InputError

HALF = 128
"""The darkest grey that counts as white, and the least alpha that counts as opaque."""
COLOURED = 64
"""The least difference between the largest and the smallest of R, G and B in a stroke."""
NEAR = 24
"""The largest difference of colours that count as equal, because compression changes them."""
PLAIN = 0.98
"""The share of pixels that must be alike, such as black next to the strokes: their edges are blurred."""


class Painted(NamedTuple):
    """The area to fill in the size of the mask, and what marks it: "the white part"."""

    fill: Fill
    part: str


def painted(image: Image.Image, picture: Image.Image, name: str) -> Painted:
    """The area that a mask marks.

    Greys count as the nearer of black and white. If the mask is the picture itself, the area that was erased from it,
    or painted over in one colour, is marked; otherwise white or coloured paint, on nothing, on black or on white.

    Args:
        picture: the picture that the mask is for.

    Raises:
        InputError: the mask is a picture in colour, of which no area is marked.
    """
    values, alpha = _values(image)
    own, own_alpha = _values(picture) if picture.size == image.size else (None, None)
    grey, strokes = values.mean(-1), _coloured(values)
    if not alpha.all():
        shown = alpha if own_alpha is None else alpha & own_alpha
        if own is not None and own_alpha is not None and _share(_distance(values, own)[shown] <= NEAR) >= PLAIN:
            return Painted(own_alpha & ~alpha, "the erased part")
        if _share(strokes[alpha]) >= PLAIN:
            return Painted(alpha, "the strokes")
        if _shaded(values[alpha]):
            return Painted(~alpha, "the erased part")
        return Painted(alpha & (grey >= HALF), "the white part")
    if not strokes.any():
        ones = grey.max() == 1
        return Painted(grey == 1 if ones else grey >= HALF, "the pixels of value 1" if ones else "the white part")
    rest = grey[~strokes]
    if max(_share(rest < HALF), _share(rest >= HALF)) >= PLAIN and not _shaded(values[~strokes]):
        return Painted(strokes, "the coloured part")
    over = np.zeros(grey.shape, np.bool_) if own is None else _distance(values, own) > NEAR
    if over.any() and not over.all() and (np.ptp(values[over], axis=0) <= 2 * NEAR).all():
        return Painted(over, "the part painted over")
    raise InputError(
        "invalid",
        f"{name} is a picture in colour, in which nothing marks the area to fill; paint that area white on black, or "
        "erase it to make it transparent",
    )


def scaled(fill: Fill, size: tuple[int, int]) -> Fill | None:
    """The area in a picture of another size, (H, W), wherever any of it falls; None if the proportions differ."""
    (height, width), (h, w) = size, fill.shape
    if round(h * width / w) != height and round(w * height / h) != width:
        return None
    share = Image.fromarray(fill.astype(np.float32)).resize((width, height), Image.Resampling.BOX)
    return np.asarray(share) > 0


Colours = npt.NDArray[np.int16]
"""(…, 3): R, G and B from 0 to 255."""


def _values(image: Image.Image) -> tuple[Colours, Fill]:
    """Colours (H, W, 3), and where they are opaque, (H, W) bool."""
    if image.mode == "I;16":
        deep = np.asarray(image)
        # values of 8 bits, such as 0 and 1, can also be stored in 16
        image = Image.fromarray(deep.astype(np.uint8) if deep.max() <= 255 else to_8_bits(deep))
    whole = np.asarray(image.convert("RGBA"))
    return whole[..., :3].astype(np.int16), whole[..., 3] >= HALF


def _distance(a: Colours, b: Colours) -> npt.NDArray[np.int16]:
    """The largest difference of R, G and B."""
    found: npt.NDArray[np.int16] = np.abs(a - b).max(-1)
    return found


def _coloured(values: Colours) -> Fill:
    """Whether colours are not grey."""
    found: Fill = values.max(-1) - values.min(-1) >= COLOURED
    return found


def _shaded(values: Colours) -> bool:
    """Whether more than a few colours are neither black nor white."""
    return _share(np.abs(values - 127.5).min(-1) < 127.5 - COLOURED) > 1 - PLAIN


def _share(found: npt.NDArray[np.bool_]) -> float:
    """The share of true values; 0 for none at all."""
    return float(found.mean()) if found.size else 0.0

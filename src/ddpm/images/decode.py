"""Decode files to pictures in one of three modes, or to the reason for a failure."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from io import BytesIO
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from ddpm.images.pixels import Pixels, to_8_bits
from ddpm.system.names import Mode

MAX_PIXELS = 178_956_970
"""Twice Pillow's limit for a decompression bomb."""

MAX_BYTES = 2**30

# An explicit list, because others start programs (EPS) or accept any bytes as a picture (TGA).
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "AVIF", "JPEG2000")

_ORIENTATION = 0x0112  # EXIF
_BITS_PER_SAMPLE = 258  # TIFF
SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations that swap height and width."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class BadImage(ValueError):
    """An error for a file that is not a usable picture; the message is the reason, in a few words."""


class Look(NamedTuple):
    """The facts about a decoded file.

    Attributes:
        size: (H, W), after EXIF rotation.
        mode: The mode of the decoded picture.
        stored: Pillow's name of the mode in the file.
        animated: Whether it is the first frame of several.
        turned: Whether EXIF rotated it.
        deep: Whether it was stored with 16 bits.
        digest: A hash of the file, or of an array's values.
    """

    size: tuple[int, int]
    mode: Mode
    stored: str
    animated: bool
    turned: bool
    deep: bool
    digest: bytes


def header(data: bytes | Pixels) -> tuple[tuple[int, int], Mode]:
    """The size, (H, W), and the mode of a picture as :func:`decode` returns it, without decoding it.

    Raises:
        BadImage: if the file is not a picture.
    """
    image = Image.fromarray(data) if not isinstance(data, bytes) else _opened(data)
    height, width = image.height, image.width
    # Pillow also looks for a PNG's EXIF behind its pixels, and decodes them to get there
    if (image.format != "PNG" or "exif" in image.info) and _orientation(image) in SIDEWAYS:
        height, width = width, height
    return (height, width), mode_of(image)


def check_bytes(size: int) -> None:
    """Reject a file by its size before it is read; an archive member by its unpacked size."""
    if size > MAX_BYTES:
        raise BadImage(f"the file is too large: {size / 1e9:.1f} GB")


def decode(data: bytes | Pixels) -> tuple[Image.Image, Look]:
    """An upright picture of mode L, RGB or RGBA from a file, or from the values of an array, (H, W) or (H, W, C) uint8.

    16 bits are scaled to 8 (65,535 to 255), transparency of any kind becomes RGBA, CMYK and palettes become RGB.

    Raises:
        BadImage: if the file is not a picture, is damaged or too large, or its values have no known range.
    """
    if not isinstance(data, bytes):
        image, data = Image.fromarray(data), data.tobytes()
    else:
        image = load(data)
    animated = image.format != "MPO" and getattr(image, "is_animated", False)  # MPO: a camera's preview images
    turn = _TURNS.get(_orientation(image))
    picture = _plain(image if turn is None else image.transpose(turn))
    size, digest = (picture.height, picture.width), blake2b(data, digest_size=16).digest()
    facts = Look(size, mode_of(picture), image.mode, animated, turn is not None, deep(image, data), digest)
    return picture, facts


def load(data: bytes) -> Image.Image:
    """A fully decoded file, in its stored mode.

    Raises:
        BadImage: if it is not a picture, is damaged or too large.
    """
    image = _opened(data)
    with decoding():
        image.load()
    return image


@contextmanager
def decoding() -> Iterator[None]:
    """Turn whatever Pillow raises for a damaged file into :class:`BadImage`, with its reason, and drop its warnings."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except BadImage:
        raise
    except Exception as error:  # its decoders raise a dozen types
        reason = "the file is truncated" if "truncated" in str(error).lower() else f"damaged ({error})"
        raise BadImage(reason) from error


def _opened(data: bytes) -> Image.Image:
    """A file with only its header read."""
    if not data:
        raise BadImage("the file is empty")
    with decoding():
        try:
            image = Image.open(BytesIO(data), formats=FORMATS)
            if image.width * image.height > MAX_PIXELS:  # known from the header, before anything is allocated
                raise Image.DecompressionBombError
        except Image.DecompressionBombError:
            raise BadImage(f"the picture has more than {MAX_PIXELS:,} pixels") from None
        except UnidentifiedImageError:
            other = "not a picture of a known format, or its header is damaged"
            raise BadImage("text, not a picture" if data[:256].isascii() else other) from None
    return image


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a picture with damaged EXIF is still usable
        return 1


def deep(image: Image.Image, data: bytes) -> bool:
    """Whether a file stores 16 bits per value."""
    if image.format == "PNG":
        return data[24] == 16
    if image.format == "TIFF":
        return 16 in getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, ())
    return image.mode.startswith("I")


def _plain(image: Image.Image) -> Image.Image:
    """The picture as L, RGB or RGBA."""
    if image.mode == "F" or image.mode.startswith("I"):
        return Image.fromarray(to_8_bits(deep_values(image)))
    mode = mode_of(image)
    return image if image.mode == mode else image.convert(mode)


def mode_of(image: Image.Image) -> Mode:
    """The mode, one of the three, that a picture is converted to."""
    if image.has_transparency_data:
        return "RGBA"
    return "L" if image.mode in ("1", "L") or image.mode.startswith("I") else "RGB"


def deep_values(image: Image.Image) -> npt.NDArray[np.uint16]:
    """The values of a picture of more than 8 bits, (H, W).

    Raises:
        BadImage: if they do not fit in 16 bits.
    """
    if image.mode == "F":
        raise BadImage("floating-point values have no known range")
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise BadImage("32-bit values have no known range")
    return values.astype(np.uint16)

"""Decode files to pictures in one of three modes, or to the reason for a failure."""

import warnings
from dataclasses import dataclass
from io import BytesIO
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from ddpm.images.depth import to_8_bits
from ddpm.images.pixels import Pixels
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


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded, upright picture and facts about its file.

    Attributes:
        image: The picture, of mode L, RGB or RGBA.
        stored: Pillow's name of the mode in the file.
        animated: Whether it is the first frame of several.
        turned: Whether EXIF rotated it.
        deep: Whether it was stored with 16 bits.
    """

    image: Image.Image
    stored: str
    animated: bool
    turned: bool
    deep: bool

    @property
    def mode(self) -> Mode:
        return self.image.mode  # type: ignore[return-value]


class Header(NamedTuple):
    """The size and mode of a picture from its file header.

    Attributes:
        size: (H, W), after EXIF rotation.
        mode: The mode that :func:`decode` returns.
    """

    size: tuple[int, int]
    mode: Mode


def header(data: bytes | Pixels) -> Header:
    """The size and mode of a picture, without decoding it.

    Raises:
        BadImage: if the file is not a picture.
    """
    image = Image.fromarray(data) if not isinstance(data, bytes) else _opened(data)
    height, width = image.height, image.width
    # Pillow also looks for a PNG's EXIF behind its pixels, and decodes them to get there
    if (image.format != "PNG" or "exif" in image.info) and _orientation(image) in SIDEWAYS:
        height, width = width, height
    return Header((height, width), mode_of(image))


def check_bytes(size: int) -> None:
    """Reject a file by its size before it is read; an archive member by its unpacked size."""
    if size > MAX_BYTES:
        raise BadImage(f"the file is too large: {size / 1e9:.1f} GB")


def decode(data: bytes | Pixels) -> Decoded:
    """Decode a file, or wrap the values of an array, (H, W) or (H, W, C) uint8.

    16 bits are scaled to 8 (65,535 to 255), transparency of any kind becomes RGBA, CMYK and palettes become RGB.

    Raises:
        BadImage: if the file is not a picture, is damaged or too large, or its values have no known range.
    """
    if not isinstance(data, bytes):
        image = Image.fromarray(data)
        return Decoded(_plain(image), image.mode, animated=False, turned=False, deep=False)
    image = load(data)
    animated = image.format != "MPO" and getattr(image, "is_animated", False)  # MPO: a camera's preview images
    orientation = _orientation(image)
    upright = image.transpose(_TURNS[orientation]) if orientation in _TURNS else image
    return Decoded(_plain(upright), image.mode, animated, orientation in _TURNS, deep(image, data))


def load(data: bytes) -> Image.Image:
    """A fully decoded file, in its stored mode.

    Raises:
        BadImage: if it is not a picture, is damaged or too large.
    """
    image = _opened(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image.load()
    except Exception as error:  # Pillow's decoders raise a dozen types for damaged files
        raise damaged(error) from error
    return image


def _opened(data: bytes) -> Image.Image:
    """A file with only its header read."""
    if not data:
        raise BadImage("the file is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(BytesIO(data), formats=FORMATS)
            if image.width * image.height > MAX_PIXELS:  # known from the header, before anything is allocated
                raise Image.DecompressionBombError
    except Image.DecompressionBombError:
        raise BadImage(f"the picture has more than {MAX_PIXELS:,} pixels") from None
    except UnidentifiedImageError:
        other = "not a picture of a known format, or its header is damaged"
        raise BadImage("text, not a picture" if data[:256].isascii() else other) from None
    except Exception as error:  # Pillow's decoders raise a dozen types for damaged files
        raise damaged(error) from error
    return image


def damaged(error: Exception) -> BadImage:
    """The error for a damaged file, with the decoder's reason."""
    return BadImage("the file is truncated" if "truncated" in str(error).lower() else f"damaged ({error})")


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
    if image.mode.startswith("I"):
        return _from_deep(image)
    if image.mode == "F":
        raise BadImage("floating-point values have no known range")
    mode = mode_of(image)
    return image if image.mode == mode else image.convert(mode)


def mode_of(image: Image.Image) -> Mode:
    """The mode, one of the three, that a picture is converted to."""
    if image.has_transparency_data:
        return "RGBA"
    return "L" if image.mode in ("1", "L") or image.mode.startswith("I") else "RGB"


def _from_deep(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise BadImage("32-bit values have no known range")
    return Image.fromarray(to_8_bits(values))

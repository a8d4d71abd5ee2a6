"""Decode files to pictures in one of three modes, or to the reason for a failure."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from ddpm.images.chunks import pixels_only
from ddpm.images.pixels import STEP, Pixels, to_8_bits
from ddpm.images.profiles import PROFILE, converts, srgb
from ddpm.images.reduced import FULL, MAX_PIXELS, UNLIMITED, limited, reduce
from ddpm.system.files import read_file
from ddpm.system.names import Mode
from ddpm.system.pointers import pointer

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


class TooLarge(BadImage):
    """An error for a picture of more pixels than allowed."""


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
        peak: Its largest value, of 65,535, if stored with 16 bits; else 0.
        recoloured: Whether its ICC profile specifies a colour space other than sRGB; None if it cannot be used.
        reduced: Whether it was decoded at a fraction of its size.
    """

    size: tuple[int, int]
    mode: Mode
    stored: str
    animated: bool
    turned: bool
    deep: bool
    digest: bytes
    peak: int = 0
    recoloured: bool | None = False
    reduced: bool = False


WIDE = "32-bit values have no known range"


def header(data: bytes | Pixels, most: int = MAX_PIXELS) -> tuple[tuple[int, int], Mode]:
    """The size, (H, W), and the mode of a picture as :func:`decode` returns it, without decoding it.

    Raises:
        BadImage: if the file is not a picture, or has more than ``most`` pixels.
    """
    if isinstance(data, bytes):
        image = _despite_metadata(lambda data: _opened(data, most, (1, 1)), data)
    else:
        image = Image.fromarray(data)
    # Pillow also looks for a PNG's EXIF behind its pixels, and decodes them to get there
    turn = _orientation(image) if image.format != "PNG" or "exif" in image.info else 1
    return _upright(image.info.get(FULL, image.size), turn), mode_of(image)


def check_bytes(size: int) -> None:
    """Reject a file by its size before it is read; an archive member by its unpacked size."""
    if size > MAX_BYTES:
        raise BadImage(f"the file is too large: {size / 1e9:.1f} GB")


def decode(
    data: bytes | Pixels, most: int = MAX_PIXELS, least: tuple[int, int] | None = None
) -> tuple[Image.Image, Look]:
    """An upright picture of mode L, RGB or RGBA from a file, or from the values of an array, (H, W) or (H, W, C) uint8.

    16 bits are scaled to 8 (65,535 to 255), transparency of any kind becomes RGBA, CMYK and palettes become RGB.
    Colours stay in the space of the picture's ICC profile; those of CMYK, and grey with alpha, are converted to sRGB.

    Args:
        most: The largest number of pixels to decode.
        least: The size, (H, W), that a JPEG of more pixels than ``most`` may be reduced to; None refuses it.

    Raises:
        BadImage: if the file is not a picture, is damaged or too large, or its values have no known range.
    """
    if not isinstance(data, bytes):
        image, data = Image.fromarray(data), data.tobytes()
    else:
        image = load(data, most, least)
    animated = image.format != "MPO" and getattr(image, "is_animated", False)  # MPO: a camera's preview images
    orientation, is_deep = _orientation(image), deep(image, data)
    turn = _TURNS.get(orientation)
    picture = _plain(image if turn is None else image.transpose(turn))
    facts = Look(
        size=_upright(image.info.get(FULL, image.size), orientation),
        mode=mode_of(picture),
        stored=image.mode,
        animated=animated,
        turned=turn is not None,
        deep=is_deep,
        digest=blake2b(data, digest_size=16).digest(),
        peak=_peak(image) if is_deep else 0,
        recoloured=converts(image if image.mode in ("CMYK", "L", "LA") else picture),
        reduced=FULL in image.info,
    )
    return picture, facts


def read_picture(path: Path) -> tuple[Image.Image, bytes]:
    """A fully decoded file, in its stored mode, and its bytes.

    Raises:
        OSError: it cannot be read, or is not a regular file.
        BadImage: it is not a picture, is damaged or too large.
    """
    data = read_file(path, MAX_BYTES)
    return load(data), data


def info(path: Path) -> dict[str | tuple[int, int], Any]:
    """The metadata in the header of a picture's file, such as texts, in addition to its size and mode.

    Raises:
        OSError: it cannot be read, or is not a regular file.
        BadImage: it is not a picture.
    """
    return _opened(read_file(path, MAX_BYTES), UNLIMITED, None).info


def load(data: bytes, most: int = MAX_PIXELS, least: tuple[int, int] | None = None) -> Image.Image:
    """A fully decoded file, in its stored mode; see :func:`decode`.

    Raises:
        BadImage: if it is not a picture, is damaged or too large.
    """

    def read(data: bytes) -> Image.Image:
        image = _opened(data, most, least)
        with decoding():
            try:
                image.load()
            except Image.DecompressionBombError:
                with limited(most):
                    image.load()
        if image.format == "TIFF" and image.mode == "I" and not deep(image, data):
            raise BadImage(WIDE)
        return image

    return _despite_metadata(read, data)


def _despite_metadata(read: Callable[[bytes], Image.Image], data: bytes) -> Image.Image:
    """Read a file; if that fails, read a PNG without its metadata, which may be what Pillow refuses."""
    try:
        return read(data)
    except BadImage:
        pixels, profile = pixels_only(data)
        if len(pixels) == len(data):
            raise
        image = read(pixels)
        if profile is not None:
            image.info[PROFILE] = profile
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


def _opened(data: bytes, most: int, least: tuple[int, int] | None) -> Image.Image:
    """A file with only its header read; see :func:`decode`. ``info`` has the size of a reduced one under ``FULL``."""
    if not data:
        raise BadImage("the file is empty")
    with decoding():
        try:
            image = _identified(data)
        except Image.DecompressionBombError:  # by its header, before anything is allocated
            with limited(UNLIMITED):
                image = _identified(data)
        except UnidentifiedImageError:
            if found := pointer(data):
                raise BadImage(found) from None
            other = "not a picture of a known format, or its header is damaged"
            raise BadImage("text, not a picture" if data[:256].isascii() else other) from None
        width, height = image.size
        if width * height > most:
            if least is not None:
                reduce(image, least)
            if image.width * image.height > most:
                raise TooLarge(f"the picture has {width * height:,} pixels, more than {most:,}")
    return image


def _identified(data: bytes) -> Image.Image:
    return Image.open(BytesIO(data), formats=FORMATS)


def _upright(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """(W, H) of a file as (H, W) after EXIF rotation."""
    return size if orientation in SIDEWAYS else size[::-1]


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a picture with damaged EXIF is still usable
        return 1


def _peak(image: Image.Image) -> int:
    """The largest value of a picture stored with 16 bits, of which Pillow keeps 8 in colour."""
    values = np.asarray(image)
    return int(values.max()) * (STEP if values.dtype == np.uint8 else 1)


def deep(image: Image.Image, data: bytes) -> bool:
    """Whether a file stores 16 bits per value."""
    if image.format == "PNG":
        return data[24] == 16
    if image.format == "TIFF":
        return 16 in getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, ())
    return image.mode.startswith("I")


def _plain(image: Image.Image) -> Image.Image:
    """The picture as L, RGB or RGBA; in sRGB if that mode cannot have its profile: of CMYK, or of grey with alpha."""
    if image.mode == "F" or image.mode.startswith("I"):
        values, info = deep_values(image), dict(image.info)
        image = Image.fromarray(to_8_bits(values))
        invisible = info.pop("transparency", None)  # of 16 bits
        if invisible is not None:
            image.putalpha(Image.fromarray(np.where(values == invisible, 0, 255).astype(np.uint8)))
        image.info = info
    mode = mode_of(image)
    if image.mode == mode:
        return image
    if image.mode in ("1", "L", "LA") and mode == "RGBA":
        return srgb(image.convert("LA")).convert("RGBA")
    return srgb(image) if image.mode == "CMYK" else image.convert(mode)


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
        raise BadImage(WIDE)
    return values.astype(np.uint16)

"""Colour profiles (ICC.1): pictures in other colour spaces are converted to sRGB, and back."""

from functools import lru_cache
from io import BytesIO
from itertools import product
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms

PROFILE = "icc_profile"
"""The key of ``image.info``."""

SAME = 2
"""The largest difference, in steps of 8 bits, between sRGB and a profile that counts as sRGB."""

LEVELS = (0, 16, 48, 96, 128, 176, 224, 255)
"""Values whose colours are compared, in all combinations."""

COLOURED = {"L": ("GRAY", "RGB "), "RGB": ("RGB ",), "CMYK": ("CMYK",)}
"""Mode -> the colour spaces of usable profiles. Grey pictures often have the RGB profile of their editor."""


class Usable(NamedTuple):
    """A profile that can be used.

    Attributes:
        space: Its colour space: GRAY, RGB or CMYK, padded to four letters.
        to_srgb: The transform from the space to RGB.
        same: Whether it changes no colour.
    """

    space: str
    to_srgb: ImageCms.ImageCmsTransform
    same: bool


def converts(image: Image.Image) -> bool | None:
    """Whether a picture's colours differ in sRGB; None if its profile is damaged, or that of another mode."""
    if not image.info.get(PROFILE):
        return False
    found = _usable(image)
    return None if found is None else not found.same


def srgb(image: Image.Image) -> Image.Image:
    """A picture of mode L, LA, RGB, RGBA or CMYK in sRGB, without a profile; CMYK becomes RGB.

    Relative colorimetric, with black-point compensation. A profile that cannot be used, or is that of another mode,
    is dropped.
    """
    if PROFILE not in image.info:
        return image.convert("RGB") if image.mode == "CMYK" else image
    found = _usable(image)
    if found is None or found.same:
        made = image.convert("RGB") if image.mode == "CMYK" else image.copy()
    else:
        made = _applied(found.to_srgb, image, grey=_colours(image) == "L")
    made.info = {key: value for key, value in image.info.items() if key != PROFILE}
    return made


def in_profile(image: Image.Image, given: Image.Image) -> Image.Image:
    """A picture of mode L, LA, RGB or RGBA in sRGB, in the colour space of a given picture of the same mode."""
    found = _usable(given)
    if found is None or found.same:
        return image
    return _applied(_from_srgb(given.info[PROFILE]), image, grey=_colours(image) == "L")


def for_png(image: Image.Image) -> Image.Image:
    """A picture with its profile, if a PNG of its mode can hold it, else in sRGB."""
    found = _read(image.info[PROFILE]) if image.info.get(PROFILE) else None
    space = "RGB " if image.mode in ("RGB", "RGBA") else "GRAY"
    return image if found is not None and found.space == space else srgb(image)


def _applied(transform: ImageCms.ImageCmsTransform, image: Image.Image, *, grey: bool) -> Image.Image:
    """A picture with its colours transformed, and any alpha kept; if grey, of one channel."""
    colours = image.convert(transform.input_mode) if image.mode != transform.input_mode else image
    made = ImageCms.applyTransform(colours, transform)
    assert made is not None
    if grey and made.mode == "RGB":
        made = made.getchannel("G")
    if image.mode in ("LA", "RGBA"):
        made.putalpha(image.getchannel("A"))
    made.info.pop(PROFILE, None)
    return made


def _colours(image: Image.Image) -> str:
    """The mode without alpha."""
    return {"LA": "L", "RGBA": "RGB"}.get(image.mode, image.mode)


def _usable(image: Image.Image) -> Usable | None:
    """The profile of a picture; None if it has none that can be used with its mode."""
    profile = image.info.get(PROFILE)
    found = _read(profile) if isinstance(profile, bytes) and profile else None
    return found if found is not None and found.space in COLOURED.get(_colours(image), ()) else None


@lru_cache(maxsize=64)
def _read(profile: bytes) -> Usable | None:
    try:
        own = ImageCms.ImageCmsProfile(BytesIO(profile))
        space = own.profile.xcolor_space
        transform = _transform(own, _srgb(), _MODES[space], "RGB")
    except (ImageCms.PyCMSError, OSError, KeyError):
        return None
    return Usable(space, transform, space != "CMYK" and _same(transform))


@lru_cache(maxsize=64)
def _from_srgb(profile: bytes) -> ImageCms.ImageCmsTransform:
    own = ImageCms.ImageCmsProfile(BytesIO(profile))
    return _transform(_srgb(), own, "RGB", _MODES[own.profile.xcolor_space])


def _transform(
    start: ImageCms.ImageCmsProfile, end: ImageCms.ImageCmsProfile, start_mode: str, end_mode: str
) -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(
        start,
        end,
        start_mode,
        end_mode,
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )


def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _same(transform: ImageCms.ImageCmsTransform) -> bool:
    # (colours, RGB) -> a picture of one row
    colours = Image.fromarray(np.array([list(product(LEVELS, repeat=3))], np.uint8))
    given = colours if transform.input_mode == "RGB" else colours.getchannel("R")
    made = ImageCms.applyTransform(given, transform)
    return bool(np.abs(np.asarray(made, int) - np.asarray(given.convert("RGB"), int)).max() <= SAME)


_MODES = {"GRAY": "L", "RGB ": "RGB", "CMYK": "CMYK"}

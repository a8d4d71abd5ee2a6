"""A picture to edit: the model's view of it, and how the model's output is inserted."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias, TypeGuard

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from ddpm.images.arrays import Array, is_tensor, pixels_of, single
from ddpm.images.decode import BadImage, decoding, deep, deep_values, mode_of, read_picture
from ddpm.images.geometry import Geometry
from ddpm.images.pixels import Pixels, to_16_bits
from ddpm.images.profiles import PROFILE, for_png, in_profile
from ddpm.images.sheets import picture, plain
from ddpm.system.errors import InputError
from ddpm.system.names import Fit, Mode


class Opened(NamedTuple):
    """A picture that has been read already.

    Attributes:
        name: The name in error messages; the path of a file.
        image: The upright picture, in one of the modes of ``SEEN``.
    """

    name: str
    image: Image.Image


Given: TypeAlias = Image.Image | str | Path | Array | Opened
"""A picture, its file, an array (H, W) or (H, W, C), or a tensor (C, H, W); see :func:`pixels_of` for value ranges."""
Several: TypeAlias = Given | Sequence[Given]
"""One picture or several, also as an array (N, H, W) or (N, H, W, C), or a tensor (N, C, H, W)."""

Fill = npt.NDArray[np.bool_]
"""(H, W): the pixels to redraw; the others are known."""

SEEN = {"L": ("L", "LA", "I;16"), "RGB": ("RGB", "RGBA"), "RGBA": ("RGBA",)}
"""Mode of a run -> modes of pictures that it can edit, keeping any alpha and bit depth that it does not model."""

KEPT_INFO = (PROFILE, "dpi", "exif")
"""The keys of ``image.info`` that remain true of an edited picture."""

KEPT = frozenset(mode for modes in SEEN.values() for mode in modes)


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A picture to edit.

    Attributes:
        name: The name in error messages.
        given: The upright original.
        image: The picture to edit, in one of the modes of ``SEEN``.
        pixels: (H, W, C) uint8, the model's view in its mode; transparent pixels are white if it has no alpha.
    """

    name: str
    given: Image.Image
    image: Image.Image
    pixels: Pixels

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return self.image.height, self.image.width

    def with_drawn(self, drawn: Pixels, fill: Fill) -> Image.Image:
        """This picture with the pixels under ``fill`` taken from ``drawn``, (H, W, C) uint8 in the run's mode, opaque.

        All others are unchanged, bit for bit.
        """
        opaque = np.full(self.size, 255, np.uint8)
        # (H, W) for grey, else (H, W, bands)
        opaquely = picture(np.dstack([drawn, opaque])) if self._keeps_alpha(drawn) else None
        new = np.asarray(self.redrawn(drawn) if opaquely is None else in_profile(opaquely, self.image))
        own = np.array(self.image)
        own[fill] = new[fill]
        return like(Image.fromarray(own), self.image)

    def redrawn(self, drawn: Pixels) -> Image.Image:
        """This picture with all colours replaced, keeping its profile, and alpha and depth that the run does not model.

        On white, as the model sees it, ``alpha · colour + (1 - alpha) · white`` equals ``drawn``, as far as alpha
        permits.

        Args:
            drawn: (H, W, C) uint8, in the run's mode; if larger than this picture, alpha is resized to it.
        """
        if self.image.mode == "I;16" and drawn.shape[-1] == 1:
            grey = in_profile(picture(drawn), like(picture(drawn), self.image))
            return like(Image.fromarray(to_16_bits(np.asarray(grey))), self.image)
        if not self._keeps_alpha(drawn):
            return self._in_own_space(picture(drawn))
        shown = self.image.getchannel("A").resize((drawn.shape[1], drawn.shape[0]), Image.Resampling.BICUBIC)
        alpha = np.asarray(shown)
        # (H, W) -> (H, W, 1); invisible pixels may have any colour
        share = np.where(alpha, alpha, 255)[..., None] / 255
        colours = (255 - (255 - drawn) / share).round().clip(0, 255).astype(np.uint8)
        return self._in_own_space(picture(np.dstack([colours, alpha])))

    def _in_own_space(self, made: Image.Image) -> Image.Image:
        """A picture in sRGB with the profile, resolution and EXIF of this one; without the profile of a grey one."""
        if made.mode in ("RGB", "RGBA") and self.image.mode not in ("RGB", "RGBA"):
            made = like(made, self.image)
            made.info.pop(PROFILE, None)
            return made
        return like(in_profile(made, self.image), self.image)

    def _keeps_alpha(self, drawn: Pixels) -> bool:
        return self.image.mode in ("LA", "RGBA") and drawn.shape[-1] != 4


def read(given: Given, size: tuple[int, int], mode: Mode, fit: Fit | None = None) -> Photo:
    """A picture for a run to edit.

    Args:
        size, mode: The size and mode of the run's images.
        fit: How to convert the picture to them, as in training; None leaves it unchanged.

    Raises:
        InputError: if it cannot be read, has a mode that the run has not learned, or is smaller than its images.
    """
    name, image = opened(given)
    if fit is not None:
        pixels = Geometry(size, mode, fit).apply(plain(image))
        return Photo(name, image, picture(pixels), pixels)
    photo = unfitted(name, image, mode, "use --fit crop to convert it")
    if image.height < size[0] or image.width < size[1]:
        raise InputError(
            "invalid",
            f"{name} is {image.height} × {image.width}, smaller than the {size[0]} × {size[1]} of the "
            "run; use --fit crop (or pad, or stretch) to enlarge it",
        )
    return photo


def unfitted(name: str, image: Image.Image, mode: Mode, advice: str) -> Photo:
    """An opened picture, of any size and unchanged, for a run of a given mode.

    Raises:
        InputError: if the run has not learned its mode, with this advice.
    """
    if image.mode not in SEEN[mode]:
        raise InputError("invalid", f"{name} has the mode {image.mode}, but the run requires {mode}; {advice}")
    return Photo(name, image, image, Geometry(mode=mode).apply(plain(image)))


def alone(images: Several) -> TypeGuard[Given]:
    """Whether this is one picture rather than several."""
    if isinstance(images, np.ndarray) or is_tensor(images):
        return single(images)
    return isinstance(images, Image.Image | str | Path | Opened)


def several(images: Several) -> list[Given]:
    """One picture or several, as a list.

    Raises:
        InputError: if there are none.
    """
    given: list[Given] = [images] if alone(images) else [*images]  # type: ignore[misc]
    if not given:
        raise InputError("missing", "no pictures were given; add at least one")
    return given


def opened(given: Given) -> Opened:
    """A picture with its name, upright, in one of the modes of ``SEEN``.

    Raises:
        InputError: if it cannot be read, or would lose bit depth.
    """
    if isinstance(given, Opened):
        return given
    if isinstance(given, Image.Image):
        name, image = Path(getattr(given, "filename", "")).name or "the image", given
    elif isinstance(given, str | Path):
        name, image = str(given), _file(given)
    else:
        name, pixels = "the image", pixels_of(given)
        if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and not 1 <= pixels.shape[-1] <= 4) or not pixels.size:
            shape = tuple(given.shape)
            raise InputError(
                "invalid", f"the picture has the shape {shape}; use an array (H, W, C) or a tensor (C, H, W)"
            )
        image = picture(np.atleast_3d(pixels))
    try:
        return Opened(name, for_png(_kept(_upright(image))))
    except BadImage as e:
        raise InputError("unreadable", f"{name} is not a usable picture ({e}); use another one") from e


def _file(path: str | Path) -> Image.Image:
    try:
        image, data = read_picture(Path(path))
    except OSError as e:
        raise InputError("unreadable", f"cannot read {path} ({e.strerror}); use the path of a picture") from e
    except BadImage as e:
        raise InputError("unreadable", f"{path} is not a usable picture ({e}); use another one") from e
    if deep(image, data) and mode_of(image) != "L":
        raise InputError(
            "invalid",
            f"{path} has 16 bits per colour channel, which cannot be kept; convert it to 8 bits, or to greyscale",
        )
    return image


def _upright(image: Image.Image) -> Image.Image:
    """A picture fully read, which Pillow defers to the first use, and rotated upright by EXIF."""
    with decoding():
        image.load()
        made = ImageOps.exif_transpose(image)
    if "exif" in made.info:
        made.info["exif"] = _without_thumbnail(made.info["exif"])
    return made


def _without_thumbnail(exif: bytes) -> bytes:
    """EXIF without the small picture in it, which would show what an edited one no longer does; empty if damaged."""
    data = Image.Exif()
    try:
        with decoding():
            data.load(exif)
            return data.tobytes()
    except BadImage:
        return b""


def _kept(image: Image.Image) -> Image.Image:
    """A picture in the mode of ``SEEN`` that loses none of it."""
    if (image.mode in KEPT and "transparency" not in image.info) or image.mode == "CMYK":
        return image
    if image.mode == "F" or image.mode.startswith("I"):
        return like(Image.fromarray(deep_values(image)), image)
    mode = "L" if image.mode in ("1", "L") else "RGB"
    return image.convert(f"{mode}A" if image.has_transparency_data else mode)


def like(made: Image.Image, given: Image.Image) -> Image.Image:
    """A new picture with the colour profile, resolution and EXIF of a given one, which a PNG of it keeps."""
    made.info |= {key: given.info[key] for key in KEPT_INFO if key in given.info}
    return made

"""Conversion of pictures to one size and mode."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from ddpm.images.pixels import Pixels
from ddpm.images.profiles import PROFILE, srgb
from ddpm.images.sheets import on_white
from ddpm.system.names import Fit, Mode

Marked = npt.NDArray[np.bool_]
"""(H, W): a selection of pixels in a picture."""

LOBES = 3
"""The lobes of the Lanczos filter on each side."""

NOTHING = 1e-7
"""Weights up to this are rounding errors: pixels that coincide with others have weight zero."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """The size and mode to convert each picture to.

    Attributes:
        size: (H, W); None keeps the picture's own.
        mode: L, RGB or RGBA; None keeps the picture's own. Transparent pixels become white if mode has no alpha.
        fit: For another aspect ratio: crop trims the longer side, pad adds a margin (transparent, or in the mean
            colour of the picture's border), stretch distorts the picture.
    """

    size: tuple[int, int] | None = None
    mode: Mode | None = None
    fit: Fit = "crop"

    @property
    def tag(self) -> str:
        """A folder name that is unique to the result; requires a size and a mode."""
        assert self.size is not None
        return f"{self.size[0]}x{self.size[1]}-{self.mode}-{self.fit}"

    def apply(self, image: Image.Image) -> Pixels:
        """A picture as (H, W, C) uint8 in sRGB; unchanged if it already has this size, mode and colour space.

        Resized by Lanczos with antialiasing; RGBA with colours weighted by alpha, so that invisible pixels do not
        bleed into the edges.
        """
        if PROFILE in image.info:
            if self.size is not None:  # first, as it leaves fewer pixels to convert
                image = _resize(image, self.size, self.fit)
            image = srgb(image)
        if self.mode is not None and image.mode != self.mode:
            image = on_white(image).convert(self.mode)
        if self.size is not None:
            image = _resize(image, self.size, self.fit)
        # (H, W) -> (H, W, 1) for grey
        return np.ascontiguousarray(np.atleast_3d(np.asarray(image)))

    def reach(self, marked: Marked) -> Marked:
        """The pixels of the result, (H, W), that marked pixels of a picture contribute to; a margin has none.

        Requires a size.
        """
        assert self.size is not None
        height, width = marked.shape
        (left, top, right, bottom), (w, h), (x, y) = _placed((width, height), self.size[::-1], self.fit)
        rows, columns = _weighed(height, top, bottom, h), _weighed(width, left, right, w)
        reached = np.zeros(self.size, np.bool_)
        reached[y : y + h, x : x + w] = rows @ marked.astype(np.float32) @ columns.T > 0
        return reached


def _resize(image: Image.Image, size: tuple[int, int], fit: Fit) -> Image.Image:
    if image.size == size[::-1]:
        return image
    box, inner, corner = _placed(image.size, size[::-1], fit)
    # Pillow itself multiplies RGBA by alpha before, and divides after
    shown = image.resize(inner, Image.Resampling.LANCZOS, box=box)
    if inner == size[::-1]:
        return shown
    canvas = Image.new(image.mode, size[::-1], _margin(shown))
    canvas.paste(shown, corner)
    canvas.info = dict(image.info)
    return canvas


def _placed(
    own: tuple[int, int], size: tuple[int, int], fit: Fit
) -> tuple[tuple[float, float, float, float], tuple[int, int], tuple[int, int]]:
    """The placement of a picture on a canvas, both (width, height).

    Returns:
        Its visible box (left, top, right, bottom), its new (width, height), and its corner (left, top).
    """
    (w, h), (width, height) = own, size
    match fit:
        case "stretch":
            return (0.0, 0.0, w, h), size, (0, 0)
        case "crop":
            scale = max(width / w, height / h)
            shown_w, shown_h = width / scale, height / scale
            # Rounding may put an edge an ulp outside the picture, which Pillow rejects.
            left, top = max(0.0, (w - shown_w) / 2), max(0.0, (h - shown_h) / 2)
            return (left, top, min(left + shown_w, w), min(top + shown_h, h)), size, (0, 0)
        case "pad":
            scale = min(width / w, height / h)
            inner = max(1, round(w * scale)), max(1, round(h * scale))
            return (0.0, 0.0, w, h), inner, ((width - inner[0]) // 2, (height - inner[1]) // 2)


def _weighed(n: int, start: float, stop: float, size: int) -> npt.NDArray[np.float32]:
    """Which of n pixels the Lanczos filter uses for each of ``size`` pixels from start to stop, (size, n), 0 or 1.

    Its weight is ``sinc(x) sinc(x / 3)`` for distances x below 3, in pixels of the coarser grid.
    """
    step = (stop - start) / size
    centres = start + (np.arange(size) + 0.5) * step
    x = (np.arange(n) + 0.5 - centres[:, None]) / max(step, 1.0)
    return ((np.abs(x) < LOBES) & (np.abs(np.sinc(x) * np.sinc(x / LOBES)) > NOTHING)).astype(np.float32)


def _margin(image: Image.Image) -> tuple[int, ...]:
    if image.mode == "RGBA":
        return 0, 0, 0, 0
    # (H, W, C) -> (pixels of the border, C)
    a = np.atleast_3d(np.asarray(image))
    border = np.concatenate([a[0], a[-1], a[:, 0], a[:, -1]])
    return tuple(int(v) for v in np.rint(border.mean(0)))

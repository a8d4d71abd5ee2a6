"""One size and one mode for every picture."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from ddpm.images.pixels import Pixels
from ddpm.system.names import Fit, Mode

Marked = npt.NDArray[np.bool_]
"""(H, W): some of the pixels of a picture."""

LOBES = 3
"""Of Lanczos's filter, to each side."""

NOTHING = 1e-7
"""A weight that is rounding only: that of pixels which coincide with others is zero."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """What each picture is brought to.

    Attributes:
        size: (H, W); None keeps the picture's own.
        mode: L, RGB or RGBA; None keeps the picture's own. What is transparent turns white where mode has no alpha.
        fit: for a picture of another shape: crop cuts off its longer side, pad adds a margin (transparent, or of the
            mean colour of the picture's border), stretch distorts it.
    """

    size: tuple[int, int] | None = None
    mode: Mode | None = None
    fit: Fit = "crop"

    @property
    def tag(self) -> str:
        """A name that differs where the result does, for a folder. For a known size and mode."""
        assert self.size is not None
        return f"{self.size[0]}x{self.size[1]}-{self.mode}-{self.fit}"

    def apply(self, image: Image.Image) -> Pixels:
        """(H, W, C) uint8. A picture of this size and mode passes unchanged.

        Resized by Lanczos with antialiasing, RGBA with its colours weighted by alpha, so that what is invisible does
        not bleed into the edges.
        """
        if self.mode is not None and image.mode != self.mode:
            image = _convert(image, self.mode)
        if self.size is not None and image.size != self.size[::-1]:
            image = _resize(image, self.size, self.fit)
        # (H, W) -> (H, W, 1) for grey
        return np.ascontiguousarray(np.atleast_3d(np.asarray(image)))

    def reach(self, marked: Marked) -> Marked:
        """Which pixels of the result, (H, W), marked ones of a picture have a part in; of a margin none.

        For a known size.
        """
        assert self.size is not None
        height, width = marked.shape
        (left, top, right, bottom), (w, h), (x, y) = _placed((width, height), self.size[::-1], self.fit)
        rows, columns = _weighed(height, top, bottom, h), _weighed(width, left, right, w)
        reached = np.zeros(self.size, np.bool_)
        reached[y : y + h, x : x + w] = rows @ marked.astype(np.float32) @ columns.T > 0
        return reached


def _convert(image: Image.Image, mode: Mode) -> Image.Image:
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert(mode)


def _resize(image: Image.Image, size: tuple[int, int], fit: Fit) -> Image.Image:
    box, inner, corner = _placed(image.size, size[::-1], fit)
    # Pillow itself multiplies RGBA by alpha first, and divides after
    shown = image.resize(inner, Image.Resampling.LANCZOS, box=box)
    if inner == size[::-1]:
        return shown
    canvas = Image.new(image.mode, size[::-1], _margin(shown))
    canvas.paste(shown, corner)
    return canvas


class _Placed(NamedTuple):
    """What is shown of a picture, left, top, right and bottom, how wide and high, and where, left and top."""

    box: tuple[float, float, float, float]
    size: tuple[int, int]
    corner: tuple[int, int] = (0, 0)


def _placed(own: tuple[int, int], size: tuple[int, int], fit: Fit) -> _Placed:
    """Of a picture as wide and high, on a canvas as wide and high."""
    (w, h), (width, height) = own, size
    match fit:
        case "stretch":
            return _Placed((0.0, 0.0, w, h), size)
        case "crop":
            scale = max(width / w, height / h)
            shown_w, shown_h = width / scale, height / scale
            # A float may begin or end an ulp outside of the picture, which Pillow refuses.
            left, top = max(0.0, (w - shown_w) / 2), max(0.0, (h - shown_h) / 2)
            return _Placed((left, top, min(left + shown_w, w), min(top + shown_h, h)), size)
        case "pad":
            scale = min(width / w, height / h)
            inner = max(1, round(w * scale)), max(1, round(h * scale))
            return _Placed((0.0, 0.0, w, h), inner, ((width - inner[0]) // 2, (height - inner[1]) // 2))


def _weighed(n: int, start: float, stop: float, size: int) -> npt.NDArray[np.float32]:
    """Which of n pixels Lanczos's filter takes into each of ``size`` between start and stop, (size, n), as 0 and 1.

    Its weight is ``sinc(x) sinc(x / 3)`` of distances x below 3, in pixels of the coarser of both.
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

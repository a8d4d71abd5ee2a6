"""One size and one mode for every picture."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from ddpm.data.decode import Mode
from ddpm.data.source import Pixels

Fit = Literal["crop", "pad", "stretch"]


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


def _convert(image: Image.Image, mode: Mode) -> Image.Image:
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert(mode)


def _resize(image: Image.Image, size: tuple[int, int], fit: Fit) -> Image.Image:
    height, width = size
    lanczos = Image.Resampling.LANCZOS  # Pillow itself multiplies RGBA by alpha first, and divides after
    match fit:
        case "stretch":
            return image.resize((width, height), lanczos)
        case "crop":
            scale = max(width / image.width, height / image.height)
            w, h = width / scale, height / scale
            # A float may begin or end an ulp outside of the picture, which Pillow refuses.
            left, top = max(0.0, (image.width - w) / 2), max(0.0, (image.height - h) / 2)
            box = (left, top, min(left + w, image.width), min(top + h, image.height))
            return image.resize((width, height), lanczos, box=box)
        case "pad":
            scale = min(width / image.width, height / image.height)
            inner = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))), lanczos)
            canvas = Image.new(image.mode, (width, height), _margin(inner))
            canvas.paste(inner, ((width - inner.width) // 2, (height - inner.height) // 2))
            return canvas


def _margin(image: Image.Image) -> tuple[int, ...]:
    if image.mode == "RGBA":
        return 0, 0, 0, 0
    # (H, W, C) -> (pixels of the border, C)
    a = np.atleast_3d(np.asarray(image))
    border = np.concatenate([a[0], a[-1], a[:, 0], a[:, -1]])
    return tuple(int(v) for v in np.rint(border.mean(0)))

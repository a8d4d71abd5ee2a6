"""Pictures embedded in a page."""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from ddpm.report.reading import readable

WIDE = 900
"""The width in pixels up to which small pictures are enlarged."""


class Picture(NamedTuple):
    """A PNG that is embedded in the page.

    Attributes:
        shown: its width on a wide screen, a whole multiple if it is enlarged.
    """

    uri: str
    width: int
    height: int
    shown: int
    caption: str


def picture(path: Path, caption: str, wide: int = WIDE) -> Picture | None:
    """Embed a PNG, shown about this wide; None if it is missing or damaged."""
    if not readable(path):
        return None
    with Image.open(path) as image:
        width, height = image.size
    data = base64.b64encode(path.read_bytes()).decode()
    return Picture(f"data:image/png;base64,{data}", width, height, width * max(1, wide // width), caption)


def strip(previews: Sequence[tuple[int, Path]], most: int = 8) -> list[Picture]:
    """Embed previews, spread over training if there are many, including the first and the last."""
    last = len(previews) - 1
    chosen = [previews[i] for i in sorted({round(last * k / (most - 1)) for k in range(most)})] if previews else []
    made = (picture(path, f"{images:,} images", wide=1) for images, path in chosen)
    return [one for one in made if one]

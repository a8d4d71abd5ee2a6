"""``ddpm outpaint``."""

from pathlib import Path

from ddpm.cli.editing import ONE, Editing
from ddpm.cli.sampling import UNCHANGED, Sampling


def outpaint(
    run: Path,
    photo: Path,
    *,
    left: int = 0,
    right: int = 0,
    top: int = 0,
    bottom: int = 0,
    method: str | None = None,
    repaint: str | None = None,
    editing: Editing = ONE,
    flags: Sampling = UNCHANGED,
) -> None:
    """Extend a picture beyond its borders, on a canvas that may be larger than the training images.

    Args:
        run: A run folder, or one checkpoint in it.
        photo: The picture, of the run's size or larger.
        left: The number of pixels to add on the left.
        right: The number of pixels to add on the right.
        top: The number of pixels to add at the top.
        bottom: The number of pixels to add at the bottom.
        method: mmps (default), or ddnm, which takes a third of the time and leaves a visible border.
        repaint: RePaint: resample back and forth, as JUMPxTIMES (in steps), such as 1x5.
    """
    from ddpm.cli.editing import make

    margins = {"left": left, "right": right, "top": top, "bottom": bottom}
    make(
        run,
        "outpaint",
        photo,
        {name: value for name, value in margins.items() if value} | {"method": method, "repaint": repaint},
        editing,
        flags,
    )

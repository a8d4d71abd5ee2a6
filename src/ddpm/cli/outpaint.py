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
    """Draw more around a picture, on a canvas that may be larger than the images of training.

    Parameters
    ----------
    run
        A run folder, or one checkpoint in it.
    photo
        The picture, of the run's size or larger.
    left
        Pixels to add at the left.
    right
        Pixels to add at the right.
    top
        Pixels to add above.
    bottom
        Pixels to add below.
    method
        mmps, the default, or ddnm, in a third of the time, which shows where the picture ends.
    repaint
        RePaint: go to and fro on the grid in jumps of so many steps, so many times, as in 1x5.
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

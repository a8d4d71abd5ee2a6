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
    repaint: str = "1x5",
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
    repaint
        Each stretch of so many steps is taken so many times; 1x1 is fastest, and shows where the picture ends.
    """
    from ddpm.cli.editing import make

    margins = {"left": left, "right": right, "top": top, "bottom": bottom}
    sides = "-".join(f"{name}{value}" for name, value in margins.items() if value)
    make(
        run,
        "outpaint",
        f"{photo.stem}-{sides}-seed{editing.seed}",
        editing,
        flags,
        lambda pipe, **asked: pipe.outpaint([photo], repaint=repaint, **margins, **asked),
    )

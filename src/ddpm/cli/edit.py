"""``ddpm edit``."""

from pathlib import Path

from ddpm.cli.editing import ONE, Editing
from ddpm.cli.sampling import UNCHANGED, Sampling


def edit(run: Path, photo: Path, *, strength: float, editing: Editing = ONE, flags: Sampling = UNCHANGED) -> None:
    """Change a picture: add noise to it and denoise it again (SDEdit).

    Args:
        run: A run folder, or one checkpoint in it.
        photo: The picture, of the run's size or larger.
        strength: How much to change, from 0 (the picture itself) to 1 (a new sample).
    """
    from ddpm.cli.editing import make

    make(
        run,
        "edit",
        photo,
        {"strength": strength},
        editing,
        flags,
    )

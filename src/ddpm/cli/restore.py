"""``ddpm restore``."""

from pathlib import Path

from ddpm.cli.editing import ONE, Editing
from ddpm.cli.inpaint import inpaint
from ddpm.cli.sampling import UNCHANGED, Sampling


def restore(
    run: Path,
    photo: Path,
    *,
    operator: str,
    method: str | None = None,
    noise: float | None = None,
    editing: Editing = ONE,
    flags: Sampling = UNCHANGED,
) -> None:
    """Draw what a damaged picture may have been, such that damaging it again gives the picture.

    Parameters
    ----------
    run
        A run folder, or one checkpoint in it: no training for the damage is needed.
    photo
        The damaged picture.
    operator
        The damage: grey (its colours are gone), downsample:4 (the means of 4 x 4 blocks are left), blur:2 (Gaussian, in
        pixels), mask:mask.png (what is white there is gone: the same as ddpm inpaint).
    method
        mmps, the default, makes what is drawn fit what is known; ddnm fits less well, in a third of the time.
    noise
        Standard deviation of the noise in the picture, in grey levels of 255; for a blur that of rounding by default.
    """
    from ddpm.cli.editing import make
    from ddpm.tasks.restore import mask_of

    if mask := mask_of(operator, noise):
        inpaint(run, photo, mask=Path(mask), method=method, editing=editing, flags=flags)
        return
    make(
        run,
        "restore",
        photo,
        {"operator": operator, "method": method, "noise": noise},
        editing,
        flags,
    )

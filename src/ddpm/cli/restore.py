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
    """Restore a damaged picture, such that damaging the result again gives the picture.

    Args:
        run: A run folder, or one checkpoint in it; it needs no training on the damage.
        photo: The damaged picture.
        operator: The damage: grey (no colour), downsample:4 (means of 4 x 4 blocks), blur:2 (Gaussian, in pixels),
            mask:mask.png (white is missing, as in `ddpm inpaint`).
        method: mmps (default), which fits the picture best, or ddnm, which takes a third of the time.
        noise: Standard deviation of the noise in the picture, in grey levels of 255; for blur, that of rounding by
            default.
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

"""``ddpm inpaint``."""

from pathlib import Path

from ddpm.cli.editing import ONE, Editing
from ddpm.cli.sampling import UNCHANGED, Sampling


def inpaint(
    run: Path,
    photo: Path,
    *,
    mask: Path,
    method: str | None = None,
    repaint: str | None = None,
    editing: Editing = ONE,
    flags: Sampling = UNCHANGED,
) -> None:
    """Draw a part of a picture anew. All else of it stays as it is, bit for bit.

    Parameters
    ----------
    run
        A run folder, or one checkpoint in it.
    photo
        The picture, of the run's size or larger.
    mask
        A picture of the same size: white is filled in, black is kept.
    method
        mmps, the default, makes what is drawn fit what is known; ddnm fits less well, in a third of the time.
    repaint
        RePaint: go to and fro on the grid in jumps of so many steps, so many times, as in 10x10; slow, and nearer to
        what the model would draw around the rest.
    """
    from ddpm.cli.editing import make
    from ddpm.images.photo import opened, read
    from ddpm.records.run_folder import RunFolder
    from ddpm.system.console import console
    from ddpm.tasks.mask import preview, read_mask

    data = RunFolder.open(run).config().data
    given, masking = opened(photo), opened(mask)
    known = read(given, data.size, data.mode, editing.fit)
    fill = read_mask(masking, known, editing.fit)
    console.print(f"filling       {100 * fill.mean():.0f} % of {photo}: where {mask} is white", markup=False)
    make(
        run,
        "inpaint",
        given,
        {"mask": masking, "method": method, "repaint": repaint},
        editing,
        flags,
        [("given.png", known.image), ("preview.png", preview(known, fill))],
    )
